"""Lists: filters by every attribute that is shown, tags in four forms, order, pages, and chosen fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from andromede.errors import Invalid
from andromede.web.call import Call

Json = dict[str, Any]
CONTROL = frozenset({"fields", "limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir"})
TAGS = {"tags": (all, True), "tags-any": (any, True), "not-tags": (all, False), "not-tags-any": (any, False)}
CAP = 1000


def listed(call: Call[Any], key: str, rows: Iterable[Json], known: Iterable[str]) -> Json:
    """The answer of a list. `known`: the attributes that rows may be filtered and sorted by. Invalid for others."""
    names = set(known)
    found = [row for row in rows if _fits(call, row, names)]
    _sort(call, found, names)
    shown, links = _page(call, found)
    answer: Json = {key: [chosen(call, row) for row in shown]}
    return answer | {f"{key}_links": links}


def chosen(call: Call[Any], row: Json) -> Json:
    """The fields that were asked for, or all."""
    fields = [each for text in call.query.all("fields") for each in text.split(",")]
    return {name: value for name, value in row.items() if name in fields} if fields else row


def _fits(call: Call[Any], row: Json, known: set[str]) -> bool:
    """`loadbalancer_id` and its like ask for one of the things that stand in a list (`loadbalancers`)."""
    for name, text in call.query:
        if name in CONTROL:
            continue
        if name in TAGS:
            together, wanted = TAGS[name]
            has = together(tag in row.get("tags", ()) for tag in text.split(","))
            if has != wanted:
                return False
        elif name in known or f"{name.removesuffix('_id')}s" in known:
            if not _equal(row.get(name if name in known else f"{name.removesuffix('_id')}s"), text):
                return False
        else:
            raise Invalid("One or more arguments are either duplicate or invalid: " + name, "query")
    return True


def _equal(value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == text.lower()
    if isinstance(value, list):
        return any(each == text or (isinstance(each, dict) and each.get("id") == text) for each in value)
    return value is not None and str(value) == text


def _sort(call: Call[Any], rows: list[Json], known: set[str]) -> None:
    pairs = [part.partition(":") for part in (call.query.get("sort") or "").split(",") if part]
    order = [(name, down) for name, _, down in pairs]
    if not order and (keys := call.query.get("sort_key")):
        downs = (call.query.get("sort_dir") or "").split(",")
        order = [(name, downs[n] if n < len(downs) else "") for n, name in enumerate(keys.split(","))]
    for name, down in reversed(order):
        if name not in known:
            raise Invalid(f"Supplied sort key '{name}' is not valid.", "query")
        if down not in ("", "asc", "desc"):
            raise Invalid(f"Supplied sort direction '{down}' is not valid.", "query")
        rows.sort(key=lambda row, name=name: _rank(row.get(name)), reverse=down == "desc")  # type: ignore[misc]


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return 0, ""
    return (1, value) if isinstance(value, int | float) else (2, str(value))


def _page(call: Call[Any], rows: list[Json]) -> tuple[list[Json], list[Json]]:
    limit = call.integer("limit", 0, 10**15)
    size = min(limit or CAP, CAP)
    back = call.query.flag("page_reverse")
    marker = call.query.get("marker")
    at = -1 if not back else len(rows)
    if marker is not None:
        at = next((n for n, row in enumerate(rows) if row["id"] == marker), -2)
        if at == -2:
            raise Invalid(f"Supplied pagination marker '{marker}' is not valid.", "query")
    first, last = (max(0, at - size), at) if back else (at + 1, min(len(rows), at + 1 + size))
    shown = rows[first:last]
    links = []
    if shown and first > 0 and marker is not None:
        links.append({"rel": "previous", "href": _link(call, size, shown[0]["id"], True)})
    if shown and last < len(rows):
        links.append({"rel": "next", "href": _link(call, size, shown[-1]["id"], False)})
    return shown, links


def _link(call: Call[Any], size: int, marker: str, back: bool) -> str:
    pairs = [(name, value) for name, value in call.query if name not in ("limit", "marker", "page_reverse")]
    pairs += [("limit", str(size)), ("marker", marker), *([("page_reverse", "True")] if back else [])]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{call.url.partition('?')[0]}?{query}"
