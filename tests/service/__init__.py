"""Promises of the service, held against the real application on a loopback port of its own."""
