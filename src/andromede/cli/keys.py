"""keys: the key tree. Every change leaves an audit event in its own transaction."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from andromede import app
from andromede.audit import Draft
from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.cli.store import operator
from andromede.clock import iso_second
from andromede.db import Tx
from andromede.errors import Conflict, NotFound
from andromede.ids import request_id
from andromede.keys import Key, KeyRing


def _open(args: argparse.Namespace) -> tuple[app.Base, KeyRing]:
    _, config = common.installed(args)
    base = app.Base.open(config, "operator")
    return base, app.key_ring(base)


def _shown(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "level": str(key.level),
        "tenant": key.tenant,
        "parent": key.parent or "root",
        "name": key.name,
        "origin": key.origin,
        "holder": key.holder,
        "state": str(key.state),
        "version": key.version,
        "created": iso_second(key.created_us),
        "destroyed": iso_second(key.destroyed_us) if key.destroyed_us else None,
    }


def _find(ring: KeyRing, given: str) -> Key:
    found = [key for key in ring.list() if key.id.startswith(given)]
    if len(found) > 1 and (exact := [key for key in found if key.id == given]):
        found = exact
    if not found:
        raise NotFound(f"there is no key {given}; list them with: andromede keys list", "kms_key")
    if len(found) > 1:
        raise Conflict(f"{given} is the beginning of {len(found)} keys; give more of it", "kms_key")
    return found[0]


def _draft(base: app.Base, action: str, key: Key) -> Draft:
    return Draft(
        key.tenant, operator(), f"keys:{action}", f"key:{key.id}", request_id(base.ids), purpose="OPERATOR_SYSTEM",
        detail={"level": str(key.level), "version": key.version},
    )  # fmt: skip


def _change(base: app.Base, action: str, work: Callable[[Tx], Key]) -> Key:
    with base.db.write() as tx:
        key = work(tx)
        base.recorder.record(tx, [_draft(base, action, key)])
    return key


def _done(key: Key, word: str, out: Output) -> int:
    out.result(_shown(key))
    out.say(f"{word} {key.level} key {key.id} (version {key.version}, {key.state})")
    return table.OK


def list_keys(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys list`."""
    base, ring = _open(args)
    keys = [_shown(key) for key in ring.list(args.project) if args.level in (None, str(key.level))]
    out.result({"custody": app.custody(base.config), "root": str(app.root_key(base.config)), "keys": keys})
    heads = ("id", "level", "tenant", "name", "state", "version", "created")
    out.table(heads, [[key[head] for head in heads] for key in keys])
    out.say()
    out.say(f"root: {app.root_key(base.config)} ({app.custody(base.config)})")
    return table.OK


def show(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys show KEY`."""
    _, ring = _open(args)
    found = _shown(_find(ring, args.key))
    out.result(found)
    for name, value in found.items():
        out.say(f"{name:10} {value if value is not None else '-'}")
    return table.OK


def create(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys create PROJECT [--name NAME]`."""
    base, ring = _open(args)
    auth = app.authenticator(base)
    project = auth.project(args.project) or auth.project_by_name(args.project)
    if project is None:
        raise NotFound(f"there is no project {args.project!r}; see: openstack project list", "project")
    if args.name:
        return _done(_change(base, "create", lambda tx: ring.create_named(tx, project.id, args.name)), "made", out)
    return _done(_change(base, "create", lambda tx: ring.ensure_tenant(tx, project.id)), "the project has", out)


def disable(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys disable KEY`."""
    base, ring = _open(args)
    key_id = _find(ring, args.key).id
    return _done(_change(base, "disable", lambda tx: ring.set_enabled(tx, key_id, False)), "disabled", out)


def enable(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys enable KEY`."""
    base, ring = _open(args)
    key_id = _find(ring, args.key).id
    return _done(_change(base, "enable", lambda tx: ring.set_enabled(tx, key_id, True)), "enabled", out)


def rotate(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys rotate KEY`."""
    base, ring = _open(args)
    key_id = _find(ring, args.key).id
    return _done(_change(base, "rotate", lambda tx: ring.rotate(tx, key_id)), "rotated", out)


def rotate_tokens(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys rotate-tokens`: the keys that sign tokens, and those under which EC2 and TOTP secrets lie."""
    from andromede.identity import service

    _, config = common.installed(args)
    base = app.Base.open(config, "operator")
    identity = service.build(config, base.db, base.clock, base.ids, base.recorder)
    number, count = service.rotate_keys(identity.core, operator(), request_id(base.ids))
    out.result({"token_key": number, "credentials": count})
    out.say(f"new tokens are signed with key {number}; {count} credentials are encrypted anew")
    return table.OK


def destroy(args: argparse.Namespace, out: Output) -> int:
    """`andromede keys destroy KEY`: the intent is stored and audited before the act."""
    base, ring = _open(args)
    key = _find(ring, args.key)
    if not args.yes and not _sure(key, out):
        out.note("nothing was destroyed")
        return table.FAILED
    with base.db.write() as tx:
        permit = ring.prepare_destroy(tx, key.id)
        base.recorder.record(tx, [_draft(base, "destroy_intent", key)])
    return _done(_change(base, "destroy", lambda tx: ring.execute_destroy(tx, permit)), "destroyed", out)


def _sure(key: Key, out: Output) -> bool:
    out.note(f"This destroys {key.level} key {key.id} of project {key.tenant} and every key below it.")
    out.note("What they protect can never be read again, by anyone. Backups that hold the key still can be.")
    try:
        return input("Type the first 8 characters of the key id to go on: ") == key.id[:8]
    except EOFError:
        return False
