"""ledger: the audit events. Receipts and proofs need the ledger itself, which is not part of this release."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from andromede.audit import store
from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.clock import SystemClock, iso_milli
from andromede.config import Config
from andromede.db import Database, open_database

PAGE = 1000


def _open(args: argparse.Namespace) -> Database:
    _, config = common.installed(args)
    return open_database(config.database_dsn)


def _pages(db: Database, project: str | None, after: int) -> Iterator[tuple[int, str, bytes]]:
    while True:
        with db.read() as tx:
            rows = store.events(tx, project, after, PAGE)
        yield from ((int(row[0]), str(row[1]), bytes(row[2])) for row in rows)
        if len(rows) < PAGE:
            return
        after = int(rows[-1][0])


def status(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger status`: exit code 4 when a source has gaps."""
    db = _open(args)
    with db.read() as tx:
        found = [
            {"source": row[0], "first": row[1], "last": row[2], "events": row[3], "newest": iso_milli(int(row[4]))}
            for row in store.sources(tx)
        ]
    gaps = [row for row in found if row["last"] - row["first"] + 1 != row["events"]]
    out.result({"sources": found, "gaps": gaps, "ledger": "not part of this release", "witnesses": []})
    heads = ("source", "first", "last", "events", "newest")
    out.table(heads, [[row[head] for head in heads] for row in found])
    out.say()
    out.say("gaps: " + (", ".join(row["source"] for row in gaps) or "none"))
    out.say("Tree, receipts and witnesses arrive with the ledger; these events will be entered into it.")
    return table.FINDINGS if gaps else table.OK


class Names:
    """Names of users and projects for people; ids where there are none any more."""

    def __init__(self, config: Config, db: Database) -> None:
        from andromede.identity.service import authenticator

        self._auth = authenticator(db, config.data, SystemClock())

    def actor(self, label: str) -> str:
        """`user:<id>` as `user:name`."""
        kind, _, value = label.partition(":")
        user = self._auth.user(value) if kind == "user" else None
        return f"user:{user.name}" if user else label

    def project(self, tenant: str) -> str:
        """A project id as `project:name`."""
        found = self._auth.project(tenant) if tenant else None
        return f"project:{found.name if found else tenant}" if tenant else "installation"


def _line(body: bytes, tenant: str, names: Names | None) -> str:
    event = json.loads(body)
    mark = {"success": " ", "denied": "!"}.get(event["outcome"], "?")
    who = f"{names.actor(event['actor'])} {names.project(tenant)}" if names else f"{event['actor']} project:{tenant}"
    return (
        f"{iso_milli(event['ts'])} {mark} {event['action']:24} {event['object'] or '-'}  {who}  {event['request_id']}"
    )


def _print(rows: list[tuple[int, str, bytes]], out: Output, names: Names | None) -> None:
    for number, tenant, body in rows:
        if out.as_json:
            out.line({"id": number, "tenant": tenant, "event": json.loads(body)})
        else:
            out.say(_line(body, tenant, names))


def tail(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger tail`: with --json one line per event."""
    if args.cloud:
        return _remote(args, out)
    _, config = common.installed(args)
    db = open_database(config.database_dsn)
    names = Names(config, db)
    with db.read() as tx:
        rows = [(int(row[0]), str(row[1]), bytes(row[2])) for row in store.newest(tx, args.project, args.count)]
    _print(rows, out, names)
    after = rows[-1][0] if rows else 0
    clock = SystemClock()
    while args.follow:
        clock.sleep(0.5)
        rows = list(_pages(db, args.project, after))
        _print(rows, out, names)
        after = rows[-1][0] if rows else after
    return table.OK


def _remote(args: argparse.Namespace, out: Output) -> int:
    """The same over the API: what the user of a cloud in clouds.yaml may see."""
    from andromede.cli.remote import Remote

    remote = Remote(common.layout(args).clouds, args.cloud)
    narrow = f"&project_id={args.project}" if args.project else ""
    rows, clock = remote.get(f"/ledger/v1/events?newest={min(max(args.count, 1), 1000)}{narrow}"), SystemClock()
    while True:
        events = [(row["id"], row["tenant"], row["event"].encode("utf-8", "surrogateescape")) for row in rows["events"]]
        _print(events, out, None)
        if not args.follow:
            return table.OK
        clock.sleep(1.0)
        rows = remote.get(f"/ledger/v1/events?after={rows['next']}{narrow}")


def export(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger export`: the stored bytes, one event a line."""
    db = _open(args)
    if not args.output:
        _export(db, args.project, sys.stdout.buffer, lambda: None)
        sys.stdout.flush()
        return table.OK
    with open(args.output, "wb") as file, out.progress("events") as progress:
        count = _export(db, args.project, file, progress.step)
    out.say(f"{count} events written to {args.output}")
    out.result({"events": count, "file": args.output})
    return table.OK


def _export(db: Database, project: str | None, file: BinaryIO, step: Callable[[], None]) -> int:
    count = 0
    for _, _, body in _pages(db, project, 0):
        file.write(body + b"\n")
        step()
        count += 1
    return count


def later(args: argparse.Namespace, out: Output) -> int:
    """Receipts, verification and monitoring."""
    text = (
        "this arrives with the ledger and is not part of this release; "
        "the audit events are kept and can be read with: andromede ledger tail, andromede ledger export"
    )
    out.result({"error": {"kind": "unsupported", "reason": "ledger", "message": text}})
    out.note(f"andromede: {text}")
    return table.NOT_YET


def is_request(found: str, given: str) -> bool:
    """Whether a request id is the one that a client shows: `req-...`, or Swift's `tx<21 digits>-<time>`."""
    if given.startswith("tx"):
        return found.replace("-", "").endswith(given[2:].partition("-")[0])
    return found == given


def find(db: Database, request_id: str) -> list[dict[str, Any]]:
    """Every event of one request."""
    needle = request_id.encode() if request_id.startswith("req-") else b""
    events = ((number, tenant, json.loads(body)) for number, tenant, body in _pages(db, None, 0) if needle in body)
    return [
        {"id": number, "tenant": tenant, "event": event}
        for number, tenant, event in events
        if is_request(str(event["request_id"]), request_id)
    ]
