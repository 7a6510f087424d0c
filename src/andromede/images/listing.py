"""Lists of images: every filter, order and page that the Image API knows."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from andromede.clock import US
from andromede.errors import Invalid
from andromede.images import store
from andromede.images.model import MEMBER_STATUSES, SHOWN, VISIBILITIES
from andromede.images.store import OPERATORS, Condition, Wanted
from andromede.web.access import is_cloud_admin
from andromede.web.call import Call

PAGE, MOST_PAGE = 25, 1000
CONTROL = frozenset(
    ["limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "tag", "os_hidden"]
)
MANY: Mapping[str, str] = {
    "id": "t.id", "name": "t.name", "container_format": "t.container_format", "disk_format": "t.disk_format",
    "status": "t.state",
}  # fmt: skip
"""Attributes that take `in:a,b` beside a single value."""
EXACT: Mapping[str, str] = {
    "owner": "t.project_id", "checksum": "t.checksum", "os_hash_algo": "t.os_hash_algo",
    "os_hash_value": "t.os_hash_value",
}  # fmt: skip
NUMBERS: Mapping[str, tuple[str, str]] = {
    "size": ("t.size", "="), "size_min": ("t.size", ">="), "size_max": ("t.size", "<="),
    "min_disk": ("t.min_disk", "="), "min_ram": ("t.min_ram", "="), "virtual_size": ("t.virtual_size", "="),
}  # fmt: skip
INSTANTS: Mapping[str, str] = {"created_at": "t.created_us", "updated_at": "t.updated_us"}
_STATES: Mapping[str, tuple[str, ...]] = {
    status: (status, *(state for state, shown in SHOWN.items() if shown == status))
    for status in ("queued", "saving", "uploading", "importing", "active", "deactivated", "killed")
}


def wanted(call: Call[Any]) -> tuple[Wanted, int, str | None]:
    """The list that a request asks for, how long its page is at most, and behind which image it begins."""
    query, actor = call.query, call.who
    visibility, status = query.get("visibility"), query.get("member_status")
    if visibility is not None and visibility not in (*VISIBILITIES, "all"):
        raise bad(f"visibility must be one of {', '.join((*VISIBILITIES, 'all'))}, not {visibility!r:.80}")
    if status is not None and status not in (*MEMBER_STATUSES, "all"):
        raise bad(f"member_status must be one of {', '.join((*MEMBER_STATUSES, 'all'))}, not {status!r:.80}")
    hidden = _flag("os_hidden", query.get("os_hidden") or "false")
    where: list[Condition] = [("t.os_hidden = ?", (int(hidden),))]
    where += [store.tagged(tag) for tag in query.all("tag")]
    for name, value in query:
        if name not in CONTROL:
            where.append(_filter(name, value))
    found = Wanted(
        actor.project_id or "", is_cloud_admin(actor), visibility, status or "accepted", where, _sort(call)
    )  # fmt: skip
    return found, _limit(query.get("limit")), query.get("marker")


def bad(text: str) -> Invalid:
    """The error of a query that breaks a rule."""
    return Invalid(text, "query")


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise bad(f"limit must be a whole number from 0 on, not {text!r:.80}")
    return min(int(text), MOST_PAGE)


def _flag(name: str, text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise bad(f"{name} must be true or false, not {text!r:.80}")
    return words[text.lower()]


def _filter(name: str, value: str) -> Condition:
    makers: list[tuple[Mapping[str, Any], Callable[[str, str], Condition]]] = [
        (MANY, _many), (EXACT, _exact), (NUMBERS, _number), (INSTANTS, _instant),
    ]  # fmt: skip
    for names, make in makers:
        if name in names:
            return make(name, value)
    if name == "protected":
        return "t.protected = ?", (int(_flag(name, value)),)
    return store.with_property(name, value)


def _exact(name: str, value: str) -> Condition:
    return f"{EXACT[name]} = ?", (value,)


def _many(name: str, value: str) -> Condition:
    values = list(_members(value[3:])) if value.startswith("in:") else [value]
    if name == "status":
        values = [state for word in values for state in _STATES.get(word, ())]
    marks = ", ".join("?" * len(values))
    return (f"{MANY[name]} IN ({marks})", tuple(values)) if values else ("1 = 0", ())


def _members(text: str) -> list[str]:
    """The values of `in:a,"b,c"`."""
    if len(re.findall(r'(?<!\\)"', text)) % 2:
        raise bad(f"the list {text!r:.80} has a quotation mark without its fellow")
    found = [(quoted or plain) for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|([^,"]+)', text)]
    if len(found) > 1000:
        raise bad("a list in a filter holds at most 1000 values")
    return [word.replace('\\"', '"') for word in found]


def _number(name: str, value: str) -> Condition:
    column, sign = NUMBERS[name]
    if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII) or (name.startswith("size_") and int(value) < 0):
        raise bad(f"{name} must be a whole number, not {value!r:.80}")
    return f"{column} {sign} ?", (int(value),)


def _instant(name: str, value: str) -> Condition:
    word, colon, rest = value.partition(":")
    sign, text = (OPERATORS[word], rest) if colon and word in OPERATORS else ("=", value)
    try:
        at = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise bad(f"{name} compares with an instant such as gt:2026-01-31T12:00:00Z, not {value!r:.80}") from None
    zoned = at if at.tzinfo else at.replace(tzinfo=datetime.UTC)
    seconds = int(zoned.timestamp())
    return f"({INSTANTS[name]} / {US}) {sign} ?", (seconds,)


def _sort(call: Call[Any]) -> list[tuple[str, bool]]:
    """The order: `sort=key:dir,...`, or `sort_key` and `sort_dir`, each repeated; never both."""
    query = call.query
    keys, directions = query.all("sort_key"), query.all("sort_dir")
    if "sort" in query:
        if keys or directions:
            raise bad("give sort, or sort_key and sort_dir, not both")
        pairs = [part.strip().partition(":") for part in (query.get("sort") or "").split(",") if part.strip()]
        found = [(key.strip(), direction.strip() or "desc") for key, _, direction in pairs]
    else:
        if len(directions) > 1 and len(directions) != len(keys):
            raise bad("give one sort_dir, or one for each sort_key")
        keys = keys or ["created_at"]
        ways = directions * len(keys) if len(directions) == 1 else directions or ["desc"] * len(keys)
        found = list(zip(keys, ways, strict=False))
    for key, direction in found:
        if key not in store.SORT_KEYS:
            raise bad(f"images cannot be sorted by {key!r:.80}; keys are {', '.join(sorted(store.SORT_KEYS))}")
        if direction not in ("asc", "desc"):
            raise bad(f"a sort direction is asc or desc, not {direction!r:.80}")
    down = found[0][1] == "desc" if found else True
    for key in ("created_at", "id"):
        if all(key != name for name, _ in found):
            found.append((key, "desc" if down else "asc"))
    return [(key, direction == "desc") for key, direction in found]


def links(call: Call[Any], marker: str | None) -> dict[str, str]:
    """`first`, and `next` when more is behind `marker`."""
    pairs = [(name, value) for name, value in call.query if name != "marker"]
    found = {"first": _link(pairs)}
    if marker is not None:
        found["next"] = _link([*pairs, ("marker", marker)])
    return found


def _link(pairs: list[tuple[str, str]]) -> str:
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return "/v2/images" + (f"?{query}" if query else "")
