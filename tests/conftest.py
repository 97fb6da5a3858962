"""For all tests: how properties are tried."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("registry", deadline=None)  # a loaded machine is no fault; pytest-timeout ends what hangs
settings.load_profile("registry")
