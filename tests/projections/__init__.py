"""Tests of the projections: the views, driven directly and compared with the contract."""
