"""Pages: what the API answers, as HTML for people. They use the same readers, and say nothing that it does not."""
