"""Audit events: what happened to whose data, by whom and for which purpose."""

from __future__ import annotations

import json

import msgspec

from andromede.errors import Invalid

_encode = msgspec.json.Encoder(order="deterministic").encode
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


class _Record(msgspec.Struct, frozen=True, gc=False):
    """What is written of an event. The fields stand in the order of their names, which is the order of the bytes: a
    struct is written in its own order, only `detail` is sorted."""

    action: str
    actor: str
    detail: dict[str, str | int] | msgspec.UnsetType
    object: str
    outcome: str
    purpose: str
    request_id: str
    seq: int
    source: str
    ts: int
    v: int


def event_bytes(draft: Draft, source: str, seq: int, ts: int) -> bytes:
    """The event's only serial form: sorted keys, no spaces, UTF-8 unescaped, integers only (a subset
    of RFC 8785). Stored and hashed as these bytes, never serialised again."""
    if draft.purpose not in PURPOSES:
        raise Invalid(f"{draft.purpose!r} is not a purpose of an audit event", "purpose")
    record = _Record(
        draft.action, draft.actor, draft.detail or msgspec.UNSET, draft.object, draft.outcome, draft.purpose,
        draft.request_id, seq, source, ts, 1,
    )  # fmt: skip
    try:
        return _encode(record)
    except UnicodeEncodeError:  # bytes that were no UTF-8, kept as surrogates
        fields = {name: value for name, value in msgspec.structs.asdict(record).items() if value is not msgspec.UNSET}
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode("utf-8", "surrogateescape")
