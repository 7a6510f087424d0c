"""Who sends a Swift request: a Keystone token, a signed URL, or nobody."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from andromede.errors import Denied, NotFound, Unauthenticated
from andromede.objects.access.request import Narrowing
from andromede.objects.model import Container
from andromede.web.actor import Actor

if TYPE_CHECKING:
    from andromede.objects.swift.call import Call

KEY_NAMES = ("temp-url-key", "temp-url-key-2")


def identify(call: Call) -> None:
    """Set the caller from `X-Auth-Token`. A token that is not valid makes the caller nobody: what is open
    to all stays open, everything else answers 401."""
    token = call.header("x-auth-token") or call.header("x-storage-token")
    if not token:
        return
    try:
        actor = call.context.auth.token(token)
    except (Unauthenticated, NotFound):
        return
    if not actor.covers("object-store", call.method, call.place.path):
        raise Denied("the access rules of this application credential do not cover this request", "access_rules")
    call.actor = actor


def signing_keys(call: Call) -> list[tuple[bytes, str | None]]:
    """(key, container it is good for; None: the whole account), up to two of each."""
    account = call.account()
    found: list[tuple[bytes, str | None]] = [
        (account.metadata[name].encode("latin-1"), None) for name in KEY_NAMES if account.metadata.get(name)
    ]
    container = _container(call)
    if container is not None:
        found += [
            (container.metadata[name].encode("latin-1"), container.name)
            for name in KEY_NAMES
            if container.metadata.get(name)
        ]
    return found


def _container(call: Call) -> Container | None:
    if call.place.container is None:
        return None
    try:
        return call.objects.container(call.place.project_id, call.place.container)
    except NotFound:
        return None


def matches(key: bytes, message: bytes, digest: str, signature: bytes) -> bool:
    """Whether `signature` is the HMAC of `message`, in constant time."""
    return hmac.compare_digest(hmac.new(key, message, digest).digest(), signature)


def as_signer(call: Call, via: str, scope: str | None, actions: frozenset[str]) -> None:
    """Let the request act for the account's project within the signature's reach: `scope` is a container
    or, None, the account. What exactly was signed has been checked by the caller."""
    project = call.place.project_id
    call.actor = Actor(
        user_id=via, user_name=via, user_domain_id="", roles=frozenset({"member"}), project_id=project, via=via
    )
    call.narrowing = Narrowing(project, scope, None, False, actions)
