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


def _line(body: bytes, tenant: str) -> str:
    event = json.loads(body)
    mark = {"success": " ", "denied": "!"}.get(event["outcome"], "?")
    return (
        f"{iso_milli(event['ts'])} {mark} {event['action']:28} {event['object'] or '-'}  {event['actor']}  "
        f"{'project:' + tenant if tenant else 'installation'}  {event['request_id']}"
    )


def _print(rows: list[tuple[int, str, bytes]], out: Output) -> None:
    for number, tenant, body in rows:
        if out.as_json:
            out.line({"id": number, "tenant": tenant, "event": json.loads(body)})
        else:
            out.say(_line(body, tenant))


def tail(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger tail`: with --json one line per event."""
    db = _open(args)
    with db.read() as tx:
        rows = [(int(row[0]), str(row[1]), bytes(row[2])) for row in store.newest(tx, args.project, args.count)]
    _print(rows, out)
    after = rows[-1][0] if rows else 0
    clock = SystemClock()
    while args.follow:
        clock.sleep(0.5)
        rows = list(_pages(db, args.project, after))
        _print(rows, out)
        after = rows[-1][0] if rows else after
    return table.OK


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


def find(db: Database, request_id: str) -> list[dict[str, Any]]:
    """Every event of one request."""
    needle = request_id.encode()
    return [
        {"id": number, "tenant": tenant, "event": json.loads(body)}
        for number, tenant, body in _pages(db, None, 0)
        if needle in body and json.loads(body)["request_id"] == request_id
    ]
