"""What may happen: the rules and folds of the domain, held against the contract."""
