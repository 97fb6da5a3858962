"""What can be asked: each view, its tables and queries, folded from the events and never from the rules."""
