"""Lists in Nova's form: `limit` and `marker`, next links, sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from andromede.errors import Invalid
from andromede.web.call import Call, Query
from andromede.web.paging import next_url

T = TypeVar("T")
CAP = 1000


def limit(query: Query) -> int:
    """The page's size: at most CAP. Raises `Invalid` for what is no whole number from 0 on."""
    value = query.get("limit")
    if value is None:
        return CAP
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise Invalid(f"Invalid input for query parameters limit. Value: {value}. It must be a whole number.", "query")
    return min(int(value), CAP)


def page(call: Call[Any], rows: Sequence[T], names: tuple[str, str], key: str = "id") -> tuple[list[T], list[Any]]:
    """(the page of `rows`, its links): `names` are the list's name in links and what a missing marker is called."""
    size, marker, start = limit(call.query), call.query.get("marker"), 0
    if marker:
        at = next((n for n, row in enumerate(rows) if getattr(row, key) == marker), None)
        if at is None:
            raise Invalid(f"marker [{marker}] not found: no {names[1]} of this list has it.", "marker")
        start = at + 1
    chosen = list(rows[start : start + size])
    more = bool(chosen) and start + size < len(rows)
    return chosen, links(call, getattr(chosen[-1], key)) if more else []


def links(call: Call[Any], marker: str) -> list[dict[str, str]]:
    """The link to the page after a marker."""
    return [{"rel": "next", "href": next_url(call, marker)}]


def with_links(body: dict[str, Any], name: str, found: list[Any]) -> dict[str, Any]:
    """A list's body with its links, the key absent on the last page."""
    return {**body, name: found} if found else body


def refs(call: Call[Any], path: str) -> list[dict[str, str]]:
    """The links of a resource: with the version and without."""
    return [
        {"rel": "self", "href": f"{call.base}/v2.1/{path}"},
        {"rel": "bookmark", "href": f"{call.base}/{path}"},
    ]
