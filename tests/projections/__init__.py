"""What can be asked: the views driven directly, held against the contract."""
