"""Tests of CONTRACT.md against a real server; they know nothing of the code behind it."""
