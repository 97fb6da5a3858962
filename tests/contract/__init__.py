"""What CONTRACT.md promises, held against a real server by a suite that knows nothing of the code behind it."""
