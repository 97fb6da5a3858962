"""What is posted and answered: the types of answers, and the JSON Schemas and columns that follow from types."""
