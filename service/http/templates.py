"""Templates: the environment and the headers of every page for people. A page loads nothing from other sites and runs
no script."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

HTML = "text/html"
TEMPLATES = Path(__file__).parent.parent / "pages"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_CODE = re.compile(r"`([^`]+)`")


def make_environment() -> Environment:
    """Return an environment that escapes by default and refuses undefined names; `prose` is among its filters."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment


def prose(text: str) -> Markup:
    """Return text as paragraphs, which empty lines part, with what stands between backticks as code."""
    paragraphs = (_CODE.sub(r"<code>\1</code>", str(escape(part.strip()))) for part in text.split("\n\n"))
    return Markup("".join(f"<p>{part}</p>" for part in paragraphs))  # noqa: S704 - escaped above
