"""Graph formats: the graph of memberships as GEXF 1.3 and GraphML, for graph tools."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from service.csv_tables import wording

GEXF = "application/gexf+xml"
GRAPHML = "application/graphml+xml"
_NODE = ("collection", "kind", "status", "certainty")
_EDGE = ("type", "status", "certainty", "from", "to", "support", "share", "occurred", "events")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
"""Characters that XML 1.0 cannot contain."""


def gexf(graph: Mapping[str, Any]) -> bytes:
    """Return a graph as GEXF 1.3; attributes are strings, and the positions of an edge are separated by spaces."""
    root = ET.Element("gexf", {"xmlns": "http://gexf.net/1.3", "version": "1.3"})
    drawn = ET.SubElement(root, "graph", {"defaultedgetype": "directed"})
    for kind, names in (("node", _NODE), ("edge", _EDGE)):
        declared = ET.SubElement(drawn, "attributes", {"class": kind})
        for name in names:
            ET.SubElement(declared, "attribute", {"id": name, "title": name, "type": "string"})
    nodes = ET.SubElement(drawn, "nodes")
    for node in graph["nodes"]:
        element = ET.SubElement(nodes, "node", {"id": node["subject"], "label": _label(node)})
        _values(ET.SubElement(element, "attvalues"), "attvalue", node, _NODE)
    edges = ET.SubElement(drawn, "edges")
    for number, edge in enumerate(graph["edges"]):
        ends = {"id": str(number), "source": edge["source"], "target": edge["target"], "label": edge["type"]}
        _values(ET.SubElement(ET.SubElement(edges, "edge", ends), "attvalues"), "attvalue", edge, _EDGE)
    return _written(root)


def graphml(graph: Mapping[str, Any]) -> bytes:
    """Return the graph as GraphML, with the same attributes."""
    root = ET.Element("graphml", {"xmlns": "http://graphml.graphdrawing.org/xmlns"})
    for kind, names in (("node", ("name", *_NODE)), ("edge", _EDGE)):
        for name in names:
            key = {"id": f"{kind}-{name}", "for": kind, "attr.name": name, "attr.type": "string"}
            ET.SubElement(root, "key", key)
    drawn = ET.SubElement(root, "graph", {"edgedefault": "directed"})
    for node in graph["nodes"]:
        element = ET.SubElement(drawn, "node", {"id": node["subject"]})
        _values(element, "data", {**node, "name": _label(node)}, ("name", *_NODE), "node-")
    for number, edge in enumerate(graph["edges"]):
        ends = {"id": f"e{number}", "source": edge["source"], "target": edge["target"]}
        _values(ET.SubElement(drawn, "edge", ends), "data", edge, _EDGE, "edge-")
    return _written(root)


def _values(parent: ET.Element, tag: str, item: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> None:
    for name in names:
        value = item.get(name)
        if value is None:
            continue
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        if tag == "data":
            ET.SubElement(parent, tag, {"key": prefix + name}).text = _NOT_XML.sub("\ufffd", text)
        else:
            ET.SubElement(parent, tag, {"for": name, "value": _NOT_XML.sub("\ufffd", text)})


def _label(node: Mapping[str, Any]) -> str:
    return _NOT_XML.sub("\ufffd", wording(node["name"])) if node["name"] is not None else str(node["subject"])


def _written(root: ET.Element) -> bytes:
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"
