"""Lists: which rows a caller sees, filters, order and pages."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from andromede.errors import Invalid, NotFound
from andromede.volumes.api import BlockCall, at_least, instant, reach, scoped, truth

R = TypeVar("R")
CAP = 1000
OTHERS = frozenset({"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count", "fields"})
Get = Callable[[Any], Any]
_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def owner(call: BlockCall) -> dict[str, Any]:
    """The condition of SQL that bounds a list: the caller's project, or what an administrator asks for."""
    scoped(call)
    every = call.query.get("all_tenants")
    wanted = truth(every, "all_tenants") if every else every is not None or call.who.project_id is None
    if wanted and reach(call) is None:
        project = call.query.get("project_id") or call.query.get("tenant_id")
        return {"project_id": project} if project else {}
    return {"project_id": call.who.project_id or ""}


def _pairs(text: str, name: str) -> dict[str, str]:
    """A dictionary in a query, as JSON or in Python's notation."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(value, dict):
            return {str(key): str(item) for key, item in value.items()}
    raise Invalid(f"The filter {name} must be an object such as {{'key': 'value'}}.", "filter")


class Shape:
    """What can be asked of one kind of row. `texts`: filters by equality; `flags`: by truth; `dicts`: by pairs that
    must all be there. Each maps the name in the query to what it means. `others`: what the caller filters itself."""

    def __init__(
        self,
        texts: Mapping[str, Get],
        flags: Mapping[str, Get] | None = None,
        dicts: Mapping[str, Get] | None = None,
        sorts: Mapping[str, Get] | None = None,
        others: Sequence[str] = (),
    ) -> None:
        self.texts = texts
        self.others = {*others, "project_id", "tenant_id"}
        self.flags = flags or {}
        self.dicts = dicts or {}
        self.times: Mapping[str, Get] = {"created_at": lambda r: r.created_us, "updated_at": lambda r: r.updated_us}
        self.sorts = {"created_at": lambda r: r.created_us, "id": lambda r: r.id, **(sorts or {})}

    def filters(self, call: BlockCall) -> list[Callable[[Any], bool]]:
        """The conditions of a request. Raises `Invalid` for malformed values, and from 3.31 on for unknown names."""
        return [test for name, value in call.query if name not in OTHERS for test in self._one(call, name, value)]

    def _one(self, call: BlockCall, name: str, value: str) -> list[Callable[[Any], bool]]:
        if name in self.others:
            return []
        if name in self.texts:
            get = self.texts[name]
            if name == "status":
                return [lambda row: str(get(row)).lower() == value.lower()]
            return [lambda row: str(get(row) if get(row) is not None else "") == value]
        if name.endswith("~") and name[:-1] in self.texts and at_least(call, 34):
            like = self.texts[name[:-1]]
            return [lambda row: value.lower() in str(like(row) or "").lower()]
        if name in self.flags:
            wanted, flag = truth(value, name), self.flags[name]
            return [lambda row: bool(flag(row)) == wanted]
        if name in self.dicts:
            pairs, dict_of = _pairs(value, name), self.dicts[name]
            return [lambda row: pairs.items() <= dict_of(row).items()]
        if name in self.times and at_least(call, 60):
            return self._times(name, value)
        if at_least(call, 31):
            raise Invalid(f"Invalid filters {name[:80]} are found in query options.", "filter")
        return []

    def _times(self, name: str, value: str) -> list[Callable[[Any], bool]]:
        tests = []
        for part in value.split(","):
            how, _, text = part.partition(":")
            if how not in _COMPARE:
                how, text = "eq", part
            tests.append(self._time(self.times[name], _COMPARE[how], instant(text, name)))
        return tests

    @staticmethod
    def _time(get: Get, compare: Callable[[int, int], bool], wanted: int) -> Callable[[Any], bool]:
        return lambda row: get(row) is not None and compare(get(row), wanted)

    def order(self, call: BlockCall) -> list[tuple[Get, bool]]:
        """(what to sort by, whether descending). Raises `Invalid` for unknown keys and directions."""
        asked: list[tuple[str, str]] = []
        text = call.query.get("sort")
        keys, ways = call.query.get("sort_key"), call.query.get("sort_dir")
        if text is not None:
            if keys is not None or ways is not None:
                raise Invalid("sort cannot go with sort_key and sort_dir.", "sort")
            for part in text.split(","):
                name, _, way = part.strip().partition(":")
                asked.append((name, way or "desc"))
        else:
            asked = [((keys or "created_at").strip(), (ways or "desc").strip())]
        found = []
        for name, way in asked:
            get = self.sorts.get("name" if name == "display_name" else name)
            if get is None or way.lower() not in ("asc", "desc"):
                raise Invalid(f"Invalid sort key or direction {name[:60]}:{way[:20]}.", "sort")
            found.append((get, way.lower() == "desc"))
        return [*found, (lambda row: row.id, found[0][1])]


def _number(call: BlockCall, name: str, high: int) -> int | None:
    value = call.query.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 18 or int(value) > high:
        raise Invalid(f"{name} {value[:40]!r} must be a whole number, zero or more.", "page")
    return int(value)


def _key(get: Get) -> Callable[[Any], tuple[bool, Any]]:
    return lambda row: (get(row) is not None, get(row) if get(row) is not None else 0)


def ordered(rows: Sequence[R], order: Sequence[tuple[Get, bool]]) -> list[R]:
    """Sorted by several keys, each in its own direction."""
    found = list(rows)
    for get, down in reversed(order):
        found.sort(key=_key(get), reverse=down)
    return found


class Page:
    """One page of a list: `rows`, `all` that fit on any page, and the URL of the next page if this one is full."""

    def __init__(self, call: BlockCall, rows: Sequence[Any], shape: Shape) -> None:
        tests, order = shape.filters(call), shape.order(call)
        limit, offset = _number(call, "limit", 10**18), _number(call, "offset", (1 << 63) - 1) or 0
        found = ordered(rows, order)
        marker = call.query.get("marker")
        self.all = [row for row in found if all(test(row) for test in tests)]
        self.count = len(self.all)
        if marker is not None:
            at = next((n for n, row in enumerate(found) if row.id == marker), None)
            if at is None:
                raise NotFound(f"The marker {marker[:60]!r} names nothing in this list.", "marker")
            found = found[at + 1 :]
        fitting = [row for row in found if all(test(row) for test in tests)]
        most = CAP if limit is None else min(limit, CAP)
        self.rows = fitting[offset : offset + most]
        full = bool(self.rows) and len(self.rows) == most
        self.next = self._next(call, self.rows[-1].id) if full else None

    @staticmethod
    def _next(call: BlockCall, marker: str) -> str:
        pairs = [(name, value) for name, value in call.query if name not in ("marker", "offset")]
        query = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in [*pairs, ("marker", marker)])
        return f"{call.url.partition('?')[0]}?{query}"

    def body(self, call: BlockCall, name: str, views: list[Any], since: int = 45) -> dict[str, Any]:
        """The body of the answer, with its links, and its count where it is asked for (3.45)."""
        found: dict[str, Any] = {name: views}
        if self.next:
            found[f"{name}_links"] = [{"rel": "next", "href": self.next}]
        asked = call.query.get("with_count")
        if asked is not None and at_least(call, since) and truth(asked, "with_count"):
            found["count"] = self.count
        return found
