"""Tests of the domain: its rules and folds, compared with the contract."""
