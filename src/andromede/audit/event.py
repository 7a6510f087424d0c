"""Audit events: what happened to whose data, by whom and for which purpose."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from andromede.errors import Invalid

_encode = msgspec.json.Encoder(order="sorted").encode
PURPOSES = frozenset(
    {
        "CUSTOMER_ACCESS",
        "CUSTOMER_SUPPORT",
        "OPERATOR_SYSTEM",
        "OPERATOR_INCIDENT",
        "OPERATOR_REVIEW",
        "LEGAL_ORDER",
        "MIGRATION",
        "BACKUP",
        "ERASURE",
        "DRILL",
    }
)


class Draft(msgspec.Struct, frozen=True):
    """An event before it is numbered. `tenant` is the project whose data is concerned ("" for the
    installation itself); `object` names what was touched, e.g. `bucket/key?v=id`; `outcome` is
    `success`, `denied` or `failure`. `detail` holds strings and integers only."""

    tenant: str
    actor: str
    action: str
    object: str
    request_id: str
    outcome: str = "success"
    purpose: str = "CUSTOMER_ACCESS"
    detail: dict[str, str | int] | None = None


def event_bytes(draft: Draft, source: str, seq: int, ts: int) -> bytes:
    """The event's only serial form: sorted keys, no spaces, UTF-8 unescaped, integers only (a subset
    of RFC 8785). Stored and hashed as these bytes, never serialised again."""
    if draft.purpose not in PURPOSES:
        raise Invalid(f"{draft.purpose!r} is not a purpose of an audit event", "purpose")
    record: dict[str, Any] = {
        "action": draft.action,
        "actor": draft.actor,
        "object": draft.object,
        "outcome": draft.outcome,
        "purpose": draft.purpose,
        "request_id": draft.request_id,
        "seq": seq,
        "source": source,
        "ts": ts,
        "v": 1,
    }
    if draft.detail:
        record["detail"] = draft.detail
    try:
        return _encode(record)
    except UnicodeEncodeError:  # bytes that were no UTF-8, kept as surrogates
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode("utf-8", "surrogateescape")
