"""Pages of lists: `limit` and `marker`, and the links that lead to the next page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from andromede.errors import Invalid
from andromede.web.call import Call

T = TypeVar("T")
CAP = 10_000
"""Rows of a page for which the client sets no limit."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the client asked for, its `limit` cut to the server's."""

    limit: int
    marker: str | None


def page(call: Call[Any], cap: int = CAP) -> Page:
    """Read `limit` and `marker`. Raises `Invalid` for a negative or non-numeric limit."""
    limit = call.integer("limit", 0, 10**15)
    return Page(cap if limit is None else min(limit, cap), call.query.get("marker"))


def cut(rows: Sequence[T], asked: Page, key: str = "id") -> tuple[list[T], T | None]:
    """One page of `rows` (all of them, in order) and the row that the next page's marker names."""
    start = 0
    if asked.marker is not None:
        at = next((n for n, row in enumerate(rows) if getattr(row, key) == asked.marker), None)
        if at is None:
            raise Invalid(f"marker {asked.marker!r} names nothing in this list", "marker")
        start = at + 1
    chosen = list(rows[start : start + asked.limit])
    more = chosen and start + asked.limit < len(rows)
    return chosen, (chosen[-1] if more else None)


def next_url(call: Call[Any], marker: str) -> str:
    """The URL as called, with its marker replaced."""
    pairs = [(name, value) for name, value in call.query if name != "marker"] + [("marker", marker)]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{call.url.partition('?')[0]}?{query}"
