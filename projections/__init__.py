"""What can be queried: each view with its tables and queries. Views are folded from events and know no rules."""
