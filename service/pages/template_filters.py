"""Texts of templates: prose with code in it, texts of documents, and kinds of values of a JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`]+)`")


def prose(text: str) -> Markup:
    """Return text as paragraphs, which empty lines part, with what stands between backticks as code."""
    paragraphs = (_CODE.sub(r"<code>\1</code>", str(escape(part.strip()))) for part in text.split("\n\n"))
    return Markup("".join(f"<p>{part}</p>" for part in paragraphs))  # noqa: S704 - escaped above


def verbatim(text: str) -> Markup:
    """Return text as markup of which a browser reads the same code points; a bare CR LF it would read as LF."""
    return escape(text).replace("\r", Markup("&#13;"))


def kind_of(schema: Mapping[str, Any], anchors: Mapping[str, str]) -> Markup:
    """Return what kind of value a schema describes, in a few words. `anchors`: the address of each named component."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="{}">{}</a>').format(anchors[name], name)
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return Markup(" or ").join(kind_of(each, anchors) for each in schema[alternatives])
    match schema.get("type"):
        case "array":
            return Markup("list of {}").format(kind_of(schema["items"], anchors))
        case list() as types:
            return Markup(" or ").join(map(escape, types))
        case "null":
            return Markup("nothing")
        case str() as name:
            return escape(name)
    return Markup("any value")
