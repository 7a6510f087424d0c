"""One page of any resource: who sees what, filters, order and marker, all in one statement."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from andromede.db.table import Reader, conditions
from andromede.errors import Invalid
from andromede.network.faults import bad
from andromede.network.kinds import boolean
from andromede.network.shape import Attr, Shape, Who
from andromede.web.call import Query

RESERVED = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
TAGS = {"tags": (True, False), "tags-any": (False, False), "not-tags": (True, True), "not-tags-any": (False, True)}
"""Filter -> (all of them, negated)."""
CAP = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the client asked for. `limit` is None without one; `order`: (attribute, descending) pairs."""

    filters: dict[str, list[str]]
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    marker: str | None = None
    reverse: bool = False
    fields: tuple[str, ...] = ()


def asked(query: Query) -> Asked:
    """Read a query string. Raises `Invalid`."""
    filters: dict[str, list[str]] = {}
    for name, value in query:
        if name not in RESERVED:
            filters.setdefault("project_id" if name == "tenant_id" else name, []).append(value)
    keys, ways = query.all("sort_key"), query.all("sort_dir")
    if keys and ways and len(keys) != len(ways):
        bad("The number of sort_keys and sort_dirs must be same")
    if any(way not in ("asc", "desc") for way in ways):
        bad("sort_dir must be asc or desc")
    order = tuple((key, bool(ways) and ways[at] == "desc") for at, key in enumerate(keys))
    raw = query.get("limit")
    if raw is not None and (not raw.isascii() or not raw.isdigit() or len(raw) > 9):
        bad(f"Limit must be an integer 0 or greater and not '{raw}'")
    limit = int(raw) or None if raw is not None else None
    names = tuple(query.all("fields"))
    return Asked(filters, order, limit, query.get("marker"), query.flag("page_reverse"), names)


def page(tx: Reader, shape: Shape, who: Who, want: Asked, within: Mapping[str, str] | None = None) -> list[Any]:
    """The rows, in the order asked for; `within`: columns that say whose parts they are, where they hang on a row."""
    condition, params = conditions({f"t.{column}": value for column, value in (within or {}).items()})
    parts = [condition]
    if not who.admin:
        sql, more = shape.seen(who)
        parts.append(sql)
        params += more
    for name, values in want.filters.items():
        sql, more = _filter(shape, name, values, who)
        parts.append(sql)
        params += more
    order = _order(shape, want)
    if want.marker is not None:
        row = shape.table.find(tx, id=want.marker)
        if row is None:
            raise Invalid(f"The marker {want.marker} names no {shape.singular}.", "HTTPBadRequest")
        sql, more = _after(order, row)
        parts.append(sql)
        params += more
    by = ", ".join(f"{_key(column)} {'DESC' if down else 'ASC'}" for column, down in order)
    limit = min(want.limit or CAP, CAP)
    tail = f"WHERE {' AND '.join(parts)} ORDER BY {by} LIMIT {limit}"
    rows = shape.table.query(tx, tail, params)
    return rows[::-1] if want.reverse else rows


def seen(tx: Reader, shape: Shape, who: Who, object_id: str) -> Any:
    """A row that somebody may see, or None."""
    sql, params = ("1 = 1", []) if who.admin else shape.seen(who)
    rows = shape.table.query(tx, f"WHERE t.id = ? AND {sql}", [object_id, *params])
    return rows[0] if rows else None


def _order(shape: Shape, want: Asked) -> list[tuple[str, bool]]:
    found = []
    for name, down in want.order:
        attr = shape.attr("project_id" if name == "tenant_id" else name)
        column = {"created_at": "created_us", "updated_at": "updated_us"}.get(name)
        if column is None and (attr is None or not attr.match):
            bad(f"{name} is invalid attribute for sort_key")
        found.append((column or (attr.field if attr else name), down != want.reverse))
    if all(column != "id" for column, _ in found):
        if not found and want.limit is None and want.marker is None:
            found.append(("created_us", want.reverse))
        found.append(("id", want.reverse))
    return found


_NUMBERS = frozenset(
    [
        "created_us",
        "updated_us",
        "revision",
        "mtu",
        "segment",
        "ip_version",
        "low",
        "high",
        "external",
        "admin_state_up",
        "is_default",
        "enable_dhcp",
        "port_security_enabled",
        "stateful",
        "shared",
        "default_prefixlen",
        "min_prefixlen",
        "max_prefixlen",
        "default_quota",
        "in_default",
        "in_others",
        "inner_first",
        "outer_first",
        "dns_publish_fixed_ip",
    ]
)


def _key(column: str) -> str:
    return f"coalesce(t.{column}, {-1 if column in _NUMBERS else repr('')})"


def _after(order: Sequence[tuple[str, bool]], row: Any) -> tuple[str, list[Any]]:
    """The condition of rows that come after this one."""
    parts: list[str] = []
    params: list[Any] = []
    for at, (column, down) in enumerate(order):
        same = [f"{_key(name)} = ?" for name, _ in order[:at]]
        parts.append("(" + " AND ".join([*same, f"{_key(column)} {'<' if down else '>'} ?"]) + ")")
        params += [_value(row, name) for name, _ in order[:at]] + [_value(row, column)]
    return "(" + " OR ".join(parts) + ")", params


def _value(row: Any, column: str) -> Any:
    value = getattr(row, column)
    if value is None:
        return -1 if column in _NUMBERS else ""
    return int(value) if isinstance(value, bool) else value


def _filter(shape: Shape, name: str, values: list[str], who: Who) -> tuple[str, list[Any]]:
    if name in shape.filters:
        return shape.filters[name](values, who)
    if name in TAGS and shape.taggable:
        return _tags(values, *TAGS[name])
    if name == "changed_since":
        return "t.updated_us >= ?", [_instant(values[-1])]
    attr = shape.attr(name)
    if attr is None or not attr.match or (attr.admin == "see" and not who.admin):
        bad(f"[{name!r}] is invalid attribute for filtering")
    return _equal(attr, values)


def _equal(attr: Attr, values: list[str]) -> tuple[str, list[Any]]:
    column = f"t.{attr.field}"
    if attr.match == "bool":
        found: list[Any] = [int(boolean(attr.name, value)) for value in values]
    elif attr.match == "int":
        if not all(re.fullmatch("-?[0-9]{1,18}", value) for value in values):
            bad(f"Invalid input for {attr.name}. Reason: '{values[-1]}' is not an integer.")
        found = [int(value) for value in values]
    else:
        column = f"coalesce({column}, '')"
        found = ["" if value in ("None", "null") and attr.default in (None, "") and attr.name != "name" else value
                 for value in values]  # fmt: skip
    return f"{column} IN ({', '.join('?' * len(found))})", found


def _tags(values: list[str], every: bool, negated: bool) -> tuple[str, list[Any]]:
    tags = sorted({tag for value in values for tag in value.split(",")})
    sql = f"SELECT count(*) FROM network_tag g WHERE g.object_id = t.id AND g.tag IN ({', '.join('?' * len(tags))})"
    has = f"({sql}) >= {len(tags) if every else 1}"
    return (f"NOT {has}" if negated else has), list(tags)


def _instant(text: str) -> int:
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError:
        bad(f"Invalid input for changed_since. Reason: '{text}' is not an ISO 8601 instant.")
    value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return int(value.timestamp()) * 1_000_000
