"""The log as a transparency log: signed checkpoints, witnesses, and the static export (C2SP tlog-tiles)."""
