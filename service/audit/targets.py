"""The choice of the source of an audit by its address or path."""

from __future__ import annotations

from pathlib import Path

from service.audit.checkpoints import CannotAudit
from service.audit.database import Database
from service.audit.exported import Exported
from service.audit.source import Source
from service.data_directory import LOG
from service.transparency.static_files import CHECKPOINT, EVENTS, VKEY


def open_source(target: str, key: str | None = None, signing_key: Path | None = None) -> Source:
    """Return the source of a target. `key` is an API key of a server; `signing_key` is the key file of a data
    directory, if that is elsewhere.

    Raises CannotAudit.
    """
    if target.startswith(("http://", "https://")):
        from service.audit.server import Server  # it imports the HTTP package, which takes long

        return Server(target.rstrip("/"), key)
    path = Path(target)
    if path.is_file() or (path / LOG).is_file():
        return Database(path, signing_key)
    if path.is_dir() and any((path / name).exists() for name in (CHECKPOINT, EVENTS, VKEY)):
        return Exported(path)
    raise CannotAudit(f"{target} is not an address of a server, not a data directory, and not an exported log")
