"""How the key manager's things look to clients (Key Manager API v1). Times are ISO 8601 in UTC, whole seconds, without
a zone, as clients parse them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from andromede.clock import US, to_second
from andromede.keymanager.model import Acl, Consumer, Container, Member, Order, Secret
from andromede.keymanager.service import KeyManager
from andromede.keymanager.store import Listing
from andromede.web.call import Call

KeyCall = Call[KeyManager]
Json = dict[str, Any]


def instant(us: int | None) -> str | None:
    """`2026-11-21T22:31:08`"""
    return None if us is None else to_second(us // US)


def ref(call: KeyCall, kind: str, thing_id: str) -> str:
    """The URL of a secret, container or order."""
    return f"{call.base}/v1/{kind}/{thing_id}"


def secret(call: KeyCall, one: Secret) -> Json:
    """A secret without its payload; with its consumers from 1.1 on."""
    shown: Json = {
        "name": one.name,
        "secret_type": one.secret_type,
        "algorithm": one.algorithm,
        "bit_length": one.bit_length,
        "mode": one.mode,
        "status": "ACTIVE",
        "creator_id": one.creator_id,
        "created": instant(one.created_us),
        "updated": instant(one.updated_us),
        "expiration": instant(one.expiration_us),
        "secret_ref": ref(call, "secrets", one.id),
    }
    if one.content_type is not None:
        shown["content_types"] = {"default": one.content_type}
    if call.microversion is not None and call.microversion >= (1, 1):
        shown["consumers"] = [consumer.facts for consumer in call.services.secrets.consumers(one.id)]
    return shown


def container(call: KeyCall, one: Container) -> Json:
    """A container with its secrets and consumers."""
    return {
        "name": one.name,
        "type": one.type,
        "status": "ACTIVE",
        "creator_id": one.creator_id,
        "created": instant(one.created_us),
        "updated": instant(one.updated_us),
        "container_ref": ref(call, "containers", one.id),
        "secret_refs": [_member(call, member) for member in call.services.containers.members(one.id)],
        "consumers": [each.facts for each in call.services.secrets.consumers(one.id)],
    }


def _member(call: KeyCall, one: Member) -> Json:
    named = {"name": one.name} if one.name is not None else {}
    return {**named, "secret_ref": ref(call, "secrets", one.secret_id)}


def consumer(one: Consumer) -> Json:
    """A consumer in a list of its own."""
    created = instant(one.created_us)
    return {**one.facts, "status": "ACTIVE", "created": created, "updated": created}


def order(call: KeyCall, one: Order) -> Json:
    """An order and what it made."""
    shown: Json = {
        "order_ref": ref(call, "orders", one.id),
        "type": one.type,
        "status": "ACTIVE",
        "sub_status": "Unknown",
        "sub_status_message": "Unknown",
        "meta": one.meta,
        "creator_id": one.creator_id,
        "created": instant(one.created_us),
        "updated": instant(one.updated_us),
    }
    if one.secret_id is not None:
        shown["secret_ref"] = ref(call, "secrets", one.secret_id)
    if one.container_id is not None:
        shown["container_ref"] = ref(call, "containers", one.container_id)
    return shown


def acl(found: tuple[Acl, list[str]] | None) -> Json:
    """An access list, or the one that holds where none was set."""
    if found is None:
        return {"read": {"project-access": True}}
    one, users = found
    return {
        "read": {
            "project-access": one.project_access,
            "users": users,
            "created": instant(one.created_us),
            "updated": instant(one.updated_us),
        }
    }


def listing(call: KeyCall, key: str, page: tuple[Sequence[Json], int], asked: Listing) -> Json:
    """A page: the rows, how many there are in all, and where the pages beside it are."""
    rows, total = page
    shown: Json = {key: rows, "total": total}
    if asked.offset + len(rows) < total and rows:
        shown["next"] = _at(call, asked.limit, asked.offset + asked.limit)
    if asked.offset > 0:
        shown["previous"] = _at(call, asked.limit, max(0, asked.offset - asked.limit))
    return shown


def _at(call: KeyCall, limit: int, offset: int) -> str:
    pairs = [(name, value) for name, value in call.query if name not in ("limit", "offset")]
    pairs += [("limit", str(limit)), ("offset", str(offset))]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{call.url.partition('?')[0]}?{query}"
