"""Listings: what a client asks for and the three forms in which it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from andromede.errors import Invalid
from andromede.objects.swift.place import text

LIMIT = 10_000
FORMATS = {"plain": "text/plain", "json": "application/json", "xml": "application/xml"}
TYPES = {**FORMATS, "text-xml": "text/xml"}
_ACCEPTED = {
    "text/plain": "plain",
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "text-xml",
}
MAX_ACCEPT = 1024


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a listing; `path` is None when not given."""

    prefix: str
    delimiter: str
    marker: str
    end_marker: str
    limit: int
    reverse: bool
    path: str | None


def truth(value: str | None) -> bool:
    """Whether a header or parameter says yes."""
    return (value or "").strip().lower() in ("true", "1", "yes", "on", "t", "y")


def parse(params: dict[str, str]) -> Query:
    """Raises `Invalid`: 412 for a limit beyond the maximum, 400 for text that is not UTF-8. A limit that
    is no number means the maximum."""
    wanted = text(params, "limit")
    limit = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else LIMIT
    if limit > LIMIT or (wanted.isdigit() and len(wanted) >= 19):
        raise Invalid(f"Maximum limit is {LIMIT}", "limit")
    return Query(
        prefix=text(params, "prefix"),
        delimiter=text(params, "delimiter"),
        marker=text(params, "marker"),
        end_marker=text(params, "end_marker"),
        limit=limit,
        reverse=truth(text(params, "reverse")),
        path=text(params, "path") if "path" in params else None,
    )


def chosen_format(params: dict[str, str], accept: str | None) -> str:
    """A key of `TYPES`. Raises `Invalid` (406) when `Accept` allows none of them."""
    wanted = params.get("format", "").lower()
    if wanted:
        return wanted if wanted in FORMATS else "plain"
    if not accept or not accept.strip():
        return "plain"
    if len(accept) > MAX_ACCEPT or any("/" not in item for item in accept.split(",")):
        raise Invalid("Invalid Accept header", "accept_header")
    best = _best(accept)
    if best is None:
        raise Invalid("listings come as text/plain, application/json, application/xml or text/xml", "accept")
    return best


def _best(accept: str) -> str | None:
    """The offered type with the highest quality; the more specific range decides a type's quality."""
    scores: dict[str, tuple[int, float]] = {}
    for item in accept.split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((_quality(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        for offered in _ACCEPTED:
            weight = _specificity(media, offered)
            if weight and weight > scores.get(offered, (0, 0.0))[0]:
                scores[offered] = (weight, quality)
    top = max((quality for _, quality in scores.values()), default=0.0)
    if top <= 0:
        return None
    return next(_ACCEPTED[name] for name in _ACCEPTED if scores.get(name, (0, 0.0))[1] == top)


def _specificity(media: str, offered: str) -> int:
    if media == offered:
        return 3
    if media == offered.partition("/")[0] + "/*":
        return 2
    return 1 if media == "*/*" else 0


def _quality(value: str) -> float:
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


Entry = dict[str, Any]
"""One line of a listing with the keys of the JSON form; `{"subdir": …}` for a common prefix."""


def render(entries: list[Entry], form: str, root: tuple[str, str], item: str) -> bytes:
    """`root`: element and name of the whole; `item`: element of one entry."""
    if form == "json":
        return json.dumps(entries, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8", "replace")
    if form.endswith("xml"):
        return _xml(entries, root, item)
    return "".join(f"{entry.get('name', entry.get('subdir'))}\n" for entry in entries).encode("utf-8", "replace")


def _xml(entries: Iterable[Entry], root: tuple[str, str], item: str) -> bytes:
    # accounts are written a line each, containers in one: clients have come to look for either
    line = "\n" if root[0] == "account" else ""
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n', f"<{root[0]} name={_attribute(root[1])}>{line}"]
    for entry in entries:
        if "subdir" in entry:
            name = entry["subdir"]
            out.append(f"<subdir name={_attribute(name)}><name>{xml_text(name)}</name></subdir>{line}")
            continue
        inner = "".join(f"<{key}>{xml_text(str(value))}</{key}>" for key, value in entry.items())
        out.append(f"<{item}>{inner}</{item}>{line}")
    out.append(f"</{root[0]}>")
    return "".join(out).encode("utf-8", "replace")


def _forbidden(char: str) -> bool:
    return (char < " " and char not in "\t\n\r") or char in "\ufffe\uffff"


def xml_text(value: str) -> str:
    """Escaped text; characters that XML 1.0 cannot carry become U+FFFD."""
    return escape("".join("\ufffd" if _forbidden(c) else c for c in value)).replace("\r", "&#13;")


def _attribute(value: str) -> str:
    return quoteattr("".join("\ufffd" if _forbidden(c) else c for c in value))


def filled(limit: int, fetch: Callable[[str, int], tuple[list[Entry], str, bool]], after: str) -> list[Entry]:
    """A full page from a source that may filter: `fetch(after, count)` gives entries, the name to go on
    after, and whether more follows."""
    found: list[Entry] = []
    while len(found) < limit:
        entries, after, more = fetch(after, limit - len(found))
        found += entries
        if not more:
            break
    return found
