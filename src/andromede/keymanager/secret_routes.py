"""Secrets, their payloads, metadata, consumers and access lists."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET

from andromede.errors import Invalid, NotFound
from andromede.keymanager import payloads, reading, views
from andromede.keymanager.acls import AclWish
from andromede.keymanager.bodies import (
    AclRequest,
    MetadataRequest,
    MetadatumRequest,
    SecretConsumerRequest,
    SecretRequest,
)
from andromede.keymanager.model import Secret
from andromede.keymanager.secrets import NewSecret
from andromede.keymanager.service import KeyManager
from andromede.keymanager.views import Json, KeyCall
from andromede.web.call import Reply
from andromede.web.routes import Routes, Target

routes: Routes[KeyManager] = Routes()
_KEY = re.compile(r"[a-z0-9_.~-]{1,255}")
FROM_1_1 = ((1, 1), None)


def own(call: KeyCall, body: Any) -> Target:
    """The caller's own project."""
    return Target(project_id=call.who.project_id)


def found(call: KeyCall) -> Secret:
    """The secret of the path."""
    return call.services.secrets.get(call.services.desk.db, call.params["secret_id"])


def target(call: KeyCall, body: Any) -> Target:
    """Of the secret of the path, with its access list."""
    return call.services.acls.target(call, found(call))


def text_of(value: str | None) -> str | None:
    """A name without blanks around it, None for an empty one."""
    return (value or "").strip() or None


def future(call: KeyCall, text: str | None) -> int | None:
    """The instant of an expiration, which must lie ahead."""
    if text is None or not text.strip():
        return None
    at = reading.instant(text.strip(), "expiration")
    if at <= call.services.desk.clock.now_us():
        raise Invalid(f"the expiration {text!r} lies in the past", "schema")
    return at


@routes.add("POST", "/v1/secrets", "keymanager:create_secret", body=SecretRequest, status=201, target=own)
def create_secret(call: KeyCall, body: SecretRequest) -> Reply:
    """Store a secret, in one step with its payload, or without it for a later PUT; at most 20,000 bytes."""
    payload = None
    if body.payload is not None:
        if body.payload_content_type is None:
            raise Invalid("payload_content_type must be given with a payload", "schema")
        payload = payloads.from_json(body.payload, body.payload_content_type, body.payload_content_encoding)
    elif body.payload_content_type is not None or body.payload_content_encoding is not None:
        raise Invalid("payload must be given with payload_content_type and payload_content_encoding", "schema")
    new = NewSecret(
        text_of(body.name), body.secret_type, body.algorithm, body.bit_length, body.mode,
        future(call, body.expiration), payload,
    )  # fmt: skip
    url = views.ref(call, "secrets", call.services.secrets.create(call, new).id)
    return Reply({"secret_ref": url}, headers=(("Location", url),))


@routes.add("GET", "/v1/secrets", "keymanager:list_secrets", target=own)
def list_secrets(call: KeyCall) -> Json:
    """Secrets that the caller may read: filters name, alg, mode, bits, secret_type, created, updated and expiration
    (`gt:`, `gte:`, `lt:`, `lte:` before an instant), acl_only; sort; limit and offset."""
    asked = reading.secrets(call)
    rows, total = call.services.secrets.page(asked)
    return views.listing(call, "secrets", ([views.secret(call, row) for row in rows], total), asked)


@routes.add("GET", "/v1/secrets/{secret_id}", "keymanager:get_secret", target=target)
def show_secret(call: KeyCall) -> Json:
    """A secret without its payload."""
    return views.secret(call, found(call))


@routes.add("PUT", "/v1/secrets/{secret_id}", "keymanager:set_payload", status=204, target=target)
def set_payload(call: KeyCall) -> None:
    """The payload of a secret that was made without one, as the whole body of the request."""
    payload = payloads.from_body(
        call.body, call.headers.get("content-type", ""), call.headers.get("content-encoding")
    )  # fmt: skip
    call.services.secrets.fill(call, call.params["secret_id"], payload)


@routes.add("DELETE", "/v1/secrets/{secret_id}", "keymanager:delete_secret", status=204, target=target)
def delete_secret(call: KeyCall) -> None:
    """Destroy a secret and the wrapping of its key."""
    call.services.secrets.remove(call, call.params["secret_id"])


@routes.add("GET", "/v1/secrets/{secret_id}/payload", "keymanager:get_payload", target=target)
def get_payload(call: KeyCall) -> Reply:
    """The payload, in the form that `Accept` asks for. The event of it is durable before the seal is broken."""
    secret = found(call)
    kind = payloads.accepted(call.headers.get("accept"), secret.content_type or payloads.OCTETS)
    raw = call.services.secrets.read(call, secret)
    return Reply(raw, media_type=f"{kind}; charset=utf-8" if kind == payloads.TEXT else kind)


# --- metadata


def _metadata(given: dict[str, str]) -> dict[str, str | None]:
    checked: dict[str, str | None] = {}
    for name, value in given.items():
        if not _KEY.fullmatch(name.lower()):
            raise Invalid(f"metadata key {name!r}: letters, digits and - . _ ~ are possible", "metadata")
        checked[name.lower()] = value
    return checked


@routes.add("GET", "/v1/secrets/{secret_id}/metadata", "keymanager:get_metadata", target=target)
def get_metadata(call: KeyCall) -> Json:
    """All metadata of a secret."""
    return {"metadata": found(call).metadata}


@routes.add(
    "PUT",
    "/v1/secrets/{secret_id}/metadata",
    "keymanager:set_metadata",
    body=MetadataRequest,
    status=201,
    target=target,
)
def put_metadata(call: KeyCall, body: MetadataRequest) -> Json:
    """Replace all metadata of a secret."""
    call.services.secrets.set_metadata(call, call.params["secret_id"], _metadata(body.metadata), "replace")
    return {"metadata_ref": views.ref(call, "secrets", call.params["secret_id"]) + "/metadata"}


@routes.add(
    "POST", "/v1/secrets/{secret_id}/metadata", "keymanager:set_metadata", body=MetadatumRequest, status=201,
    target=target,
)  # fmt: skip
def add_metadatum(call: KeyCall, body: MetadatumRequest) -> Reply:
    """One more key, which must be new."""
    given = _metadata({body.key: body.value})
    call.services.secrets.set_metadata(call, call.params["secret_id"], given, "add")
    url = views.ref(call, "secrets", call.params["secret_id"]) + f"/metadata/{body.key.lower()}"
    return Reply({"key": body.key.lower(), "value": body.value}, headers=(("Location", url),))


@routes.add("GET", "/v1/secrets/{secret_id}/metadata/{key}", "keymanager:get_metadata", target=target)
def get_metadatum(call: KeyCall) -> Json:
    """One key and its value."""
    key, metadata = call.params["key"].lower(), found(call).metadata
    if key not in metadata:
        raise NotFound(f"secret {call.params['secret_id']} has no metadata {key!r}", "metadata")
    return {"key": key, "value": metadata[key]}


@routes.add(
    "PUT", "/v1/secrets/{secret_id}/metadata/{key}", "keymanager:set_metadata", body=MetadatumRequest, target=target
)
def put_metadatum(call: KeyCall, body: MetadatumRequest) -> Json:
    """Another value for a key that is there."""
    if body.key.lower() != call.params["key"].lower():
        raise Invalid("the key of the path and of the body differ", "metadata")
    given = _metadata({body.key: body.value})
    call.services.secrets.set_metadata(call, call.params["secret_id"], given, "update")
    return {"key": body.key.lower(), "value": body.value}


@routes.add(
    "DELETE", "/v1/secrets/{secret_id}/metadata/{key}", "keymanager:set_metadata", status=204, target=target
)  # fmt: skip
def delete_metadatum(call: KeyCall) -> None:
    """Remove a key."""
    call.services.secrets.set_metadata(
        call, call.params["secret_id"], {call.params["key"].lower(): None}, "remove"
    )  # fmt: skip


# --- access lists


def wish(body: AclRequest) -> AclWish:
    """The change that an access list in a body asks for."""
    users, access = body.read.users, body.read.project_access
    return AclWish(None if access is UNSET else access, None if users is UNSET else users)


EMPTY = Reply(b"{}")
"""The answer to the removal of an access list: clients expect a document."""


@routes.add("GET", "/v1/secrets/{secret_id}/acl", "keymanager:get_secret_acl", target=target)
def get_secret_acl(call: KeyCall) -> Json:
    """Who may read the secret besides its creator and administrators."""
    return views.acl(call.services.acls.find(call.services.desk.db, call.params["secret_id"]))


@routes.add("PUT", "/v1/secrets/{secret_id}/acl", "keymanager:set_secret_acl", body=AclRequest, target=target)
def put_secret_acl(call: KeyCall, body: AclRequest) -> Json:
    """Replace the access list; what is absent has its default."""
    return _set_acl(call, body, True)


@routes.add("PATCH", "/v1/secrets/{secret_id}/acl", "keymanager:set_secret_acl", body=AclRequest, target=target)
def patch_secret_acl(call: KeyCall, body: AclRequest) -> Json:
    """Change parts of the access list."""
    return _set_acl(call, body, False)


def _set_acl(call: KeyCall, body: AclRequest, whole: bool) -> Json:
    call.services.acls.set(call, found(call), wish(body), whole)
    return {"acl_ref": views.ref(call, "secrets", call.params["secret_id"]) + "/acl"}


@routes.add("DELETE", "/v1/secrets/{secret_id}/acl", "keymanager:delete_secret_acl", target=target)
def delete_secret_acl(call: KeyCall) -> Reply:
    """Take the access list away."""
    call.services.acls.remove(call, found(call))
    return EMPTY


# --- consumers, from microversion 1.1 on


@routes.add(
    "GET", "/v1/secrets/{secret_id}/consumers", "keymanager:list_secret_consumers", target=target, versions=FROM_1_1
)
def list_secret_consumers(call: KeyCall) -> Json:
    """Who told that they use the secret; limit and offset."""
    return consumers(call, call.params["secret_id"])


def consumers(call: KeyCall, owner_id: str) -> Json:
    """A page of the consumers of a secret or container."""
    asked = reading.listing(call, {})
    rows = call.services.secrets.consumers(owner_id)
    shown = [views.consumer(row) for row in rows[asked.offset : asked.offset + asked.limit]]
    return views.listing(call, "consumers", (shown, len(rows)), asked)


def _facts(body: SecretConsumerRequest) -> dict[str, str]:
    return {"service": body.service, "resource_type": body.resource_type, "resource_id": body.resource_id}


@routes.add(
    "POST", "/v1/secrets/{secret_id}/consumers", "keymanager:add_secret_consumer", body=SecretConsumerRequest,
    target=target, versions=FROM_1_1,
)  # fmt: skip
def add_secret_consumer(call: KeyCall, body: SecretConsumerRequest) -> Json:
    """Tell that something uses the secret; the secret with its consumers."""
    secret = found(call)
    call.services.secrets.add_consumer(call, (secret.id, secret.project_id), _facts(body))
    return views.secret(call, secret)


@routes.add(
    "DELETE", "/v1/secrets/{secret_id}/consumers", "keymanager:remove_secret_consumer", body=SecretConsumerRequest,
    target=target, versions=FROM_1_1,
)  # fmt: skip
def remove_secret_consumer(call: KeyCall, body: SecretConsumerRequest) -> Json:
    """Tell that something does not use the secret any more."""
    secret = found(call)
    call.services.secrets.remove_consumer(call, (secret.id, secret.project_id), _facts(body))
    return views.secret(call, secret)
