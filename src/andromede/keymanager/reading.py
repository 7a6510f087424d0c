"""What clients ask of lists: filters, order and page. A filter that is not known is refused, never ignored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from andromede.clock import US
from andromede.errors import Invalid
from andromede.keymanager.store import Listing
from andromede.keymanager.views import KeyCall

MOST, USUAL = 100, 10
"""Rows of a page, at most and where the client names no limit."""
_SPANS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
SECRET_FILTERS: Mapping[str, str] = {"name": "name", "alg": "algorithm", "mode": "mode", "secret_type": "secret_type"}
TIMES = {"created": "created_us", "updated": "updated_us", "expiration": "expiration_us"}
_SORT = {**{name: name for name in ("name", "mode", "secret_type", "algorithm", "bit_length")}, **TIMES}


def instant(text: str, name: str) -> int:
    """Microseconds of an ISO 8601 instant, UTC where it names no zone."""
    try:
        found = dt.datetime.fromisoformat(text.replace(" ", "T") if "T" not in text else text)
        found = found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
        return int(found.timestamp()) * US + found.microsecond
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} {text!r} is not an ISO 8601 instant such as 2030-01-01T00:00:00", "time") from error


def listing(call: KeyCall, filters: Mapping[str, str], *more: str) -> Listing:
    """The page and the equalities of a list; `more` are parameters that its handler reads itself."""
    known = {"limit", "offset", *filters, *more}
    for name, _ in call.query:
        if name not in known:
            raise Invalid(f"this list has no filter {name!r}; there are {', '.join(sorted(known))}", "query")
    limit = call.integer("limit", 0, 10**15)
    asked = Listing(
        str(call.who.project_id),
        limit=USUAL if limit is None else min(limit, MOST),
        offset=call.integer("offset", 0, 10**15) or 0,
    )
    for name, column in filters.items():
        if (value := call.query.get(name)) is not None:
            asked.where[column] = value
    return asked


def secrets(call: KeyCall) -> Listing:
    """What a list of secrets asks for."""
    asked = listing(call, SECRET_FILTERS, "bits", "acl_only", "sort", *TIMES)
    bits = call.integer("bits", 0, 10**9)
    if bits:  # 0 asks for no length in particular, as in Barbican
        asked.where["bit_length"] = bits
    for name, column in TIMES.items():
        for part in (call.query.get(name) or "").split(","):
            if part.strip():
                word, colon, rest = part.strip().partition(":")
                span = word in _SPANS and bool(colon)
                asked.spans.append(
                    (column, _SPANS[word] if span else "=", instant(rest if span else part.strip(), name))
                )
    for part in (call.query.get("sort") or "").split(","):
        if part.strip():
            key, _, direction = part.strip().partition(":")
            if key == "status":  # every secret is ACTIVE
                continue
            if key not in _SORT or direction not in ("", "asc", "desc"):
                raise Invalid(f"sort={part!r}: the keys are {', '.join(_SORT)}, with :asc or :desc", "query")
            asked.sort.append((_SORT[key], direction == "desc"))
    only = call.query.get("acl_only")
    if only is not None and only.lower() == "true":
        asked.named = call.who.user_id
    elif "admin" not in call.who.roles:
        asked.reader = call.who.user_id
    return asked
