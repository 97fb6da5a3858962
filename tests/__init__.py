"""Promises the registry makes, each as a test that asserts what a client can see."""
