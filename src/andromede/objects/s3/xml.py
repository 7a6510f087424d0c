"""XML in and out. In: no DTD, no entities, bounded depth and size, unknown elements refused, the namespace
optional. Out: templates with escaped text; a character that XML 1.0 cannot carry is never written raw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from lxml import etree

from andromede.errors import Invalid

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
MAX_DEPTH = 12
MAX_NODES = 60_000

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True)
class Node:
    """An element: its local name, text and children. Attributes are kept for `xsi:type` alone."""

    name: str
    text: str = ""
    type: str | None = None
    children: list[Node] = field(default_factory=list)

    def all(self, name: str) -> list[Node]:
        """Every child of that name."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Node | None:
        """The only child of that name, or None. Raises `Invalid` when it is repeated."""
        found = self.all(name)
        if len(found) > 1:
            raise malformed(f"<{name}> may stand once in <{self.name}>")
        return found[0] if found else None

    def need(self, name: str) -> Node:
        """The only child of that name. Raises `Invalid` when it is missing or repeated."""
        found = self.one(name)
        if found is None:
            raise malformed(f"<{self.name}> needs a <{name}>")
        return found

    def value(self, name: str) -> str | None:
        """The text of the only child of that name, or None when it is absent."""
        found = self.one(name)
        return None if found is None else found.text

    def only(self, *names: str) -> Node:
        """Refuse children outside `names`."""
        for child in self.children:
            if child.name not in names:
                raise malformed(f"<{child.name}> is not known in <{self.name}>")
        return self


def malformed(what: str) -> Invalid:
    """400 MalformedXML."""
    return Invalid(f"the XML you provided was not well-formed or did not validate: {what}", "malformed_xml")


def parse(data: bytes, root: str) -> Node:
    """The document's tree. Raises `Invalid` (`malformed_xml`) when it is not XML, has a DTD, is too deep or
    too large, or when its root is not `root`."""
    if b"<!" in data and (b"<!DOCTYPE" in data.upper() or b"<!ENTITY" in data.upper()):
        raise malformed("a document type or entity is not accepted")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        top = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise malformed("it cannot be parsed") from error
    if top.getroottree().docinfo.doctype:
        raise malformed("a document type is not accepted")
    tree = _node(top, 0, [0])
    if tree.name != root:
        raise malformed(f"the root element must be <{root}>")
    return tree


def _node(element: etree._Element, depth: int, count: list[int]) -> Node:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_NODES:
        raise malformed("it is nested too deep or has too many elements")
    if not isinstance(element.tag, str):
        raise malformed("it holds an entity")
    node = Node(element.tag.rpartition("}")[2], element.text or "")
    for name, value in element.attrib.items():
        if name.rpartition("}")[2] == "type":
            node.type = value
    node.children = [_node(child, depth + 1, count) for child in element]
    if node.children:
        node.text = ""
    else:
        node.text = element.text or ""
    return node


def escape(text: str) -> str:
    """Text for an element's content; what XML 1.0 cannot carry becomes U+FFFD."""
    if "&" in text or "<" in text or ">" in text or '"' in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    if not text.isprintable():
        text = _FORBIDDEN.sub("\ufffd", text).replace("\r", "&#13;")
    return text


def url_encoded(text: str) -> str:
    """A key for `encoding-type=url`: percent-encoded UTF-8, `/` kept."""
    return quote(text.encode(), safe="/-_.~*")


def element(name: str, text: str | int | None) -> str:
    """`<name>text</name>`, or nothing for None."""
    if text is None:
        return ""
    return f"<{name}>{escape(text) if isinstance(text, str) else text}</{name}>"


def elements(pairs: Iterable[tuple[str, str | int | None]]) -> str:
    """Several of them in order."""
    return "".join(element(name, text) for name, text in pairs)


def document(root: str, body: str) -> bytes:
    """A whole document in S3's namespace."""
    return pieced(root, [body])


def pieced(root: str, pieces: Iterable[str]) -> bytes:
    """`document` of a body in pieces. They are put together once: a long text is new memory at every copy."""
    return "".join((f'{DECLARATION}<{root} xmlns="{NAMESPACE}">', *pieces, f"</{root}>")).encode()
