"""Symlinks: PUT with `X-Symlink-Target`."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote

from andromede.errors import Conflict, Invalid, NotFound
from andromede.objects.manifests import (
    ACCOUNT_PREFIX,
    LINK_ACCOUNT,
    LINK_BYTES,
    LINK_ETAG,
    LINK_TARGET,
    shown_etag,
    shown_size,
)
from andromede.objects.model import Container, Kind, Version
from andromede.objects.swift import attributes, writing
from andromede.objects.swift.call import Call
from andromede.objects.swift.entries import EMPTY_MD5, own_account
from andromede.objects.swift.place import decode, split_name
from andromede.web.stream.message import Commit

LINK_TYPE = "application/symlink"


def put(call: Call) -> Commit[Version]:
    """Make a link; with `X-Symlink-Target-Etag` one that holds only while the target has that ETag."""
    container = call.open("s3:PutObject", key=call.key)
    writing.check_key(call.key)
    if call.request.body.length != 0 or call.header("x-copy-from"):
        raise Invalid("Symlink requests require a zero byte body", "symlink")
    if writing.expected_md5(call) not in (None, EMPTY_MD5):
        raise Invalid("the ETag header is not that of an empty body", "etag")
    if call.headers[LINK_TARGET].startswith("/"):
        raise Invalid("X-Symlink-Target header must be of the form <container name>/<object name>", "header_form")
    name, key = split_name(call.headers[LINK_TARGET], "X-Symlink-Target")
    account = decode(call.headers.get(LINK_ACCOUNT, "").encode("latin-1"))
    if account and ("/" in account or not account.startswith(ACCOUNT_PREFIX)):
        raise Invalid("X-Symlink-Target-Account does not name an account", "header_form")
    own = (account or own_account(container.project_id)) == own_account(container.project_id)
    if own and (name, key) == (container.name, call.key):
        raise Invalid("Symlink cannot target itself", "symlink")
    settings = {LINK_TARGET: quote(f"{name}/{key}")}
    if account:
        settings[LINK_ACCOUNT] = quote(account)
    wanted = (call.header(LINK_ETAG) or "").strip().strip('"')
    if wanted:
        project = account.removeprefix(ACCOUNT_PREFIX) or container.project_id
        settings |= _pinned(call, project, (name, key), wanted)
    wish = attributes.wanted(call, call.key)
    kind = wish.content_type if call.header("content-type") or wanted else LINK_TYPE
    wish = dataclasses.replace(wish, content_type=kind, settings=settings, kind=Kind.SYMLINK)
    when = writing.conditions(call)
    step = call.objects.put_empty(container, call.key, wish, when, call.trace("swift:PutSymlink"))
    return step.then(lambda version: writing.created(container, version))


def _pinned(call: Call, project: str, target: tuple[str, str], wanted: str) -> dict[str, str]:
    """Settings of a static link, the target checked."""
    container: Container = call.locate(project, target[0], "s3:GetObject")
    try:
        version = call.objects.head(container, target[1])
    except NotFound:
        call.require("s3:GetObject", container, target[1])
        raise Conflict("X-Symlink-Target does not exist", "symlink_target") from None
    call.require("s3:GetObject", container, target[1], version)
    container, version, _ = call.opener().follow(container, version)
    if shown_etag(version) != wanted:
        raise Conflict(
            f"Object Etag {shown_etag(version)!r} does not match X-Symlink-Target-Etag header {wanted!r}",
            "symlink_target",
        )
    return {LINK_ETAG: wanted, LINK_BYTES: str(shown_size(version))}
