"""ledger status, ledger tail: the logs of this installation, or of a cloud, and the newest events."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any

from andromede.audit import store
from andromede.audit.answers import TAIL, owners
from andromede.audit.leases import PAD
from andromede.cli import common, table
from andromede.cli.ledger_books import Local, RemoteBook
from andromede.cli.output import Output, span
from andromede.clock import SystemClock, iso_milli
from andromede.config import Config
from andromede.db import Database, Row
from andromede.errors import NotFound

PAGE = 1000
MOST = 1000
SHOWN_LOGS = 50


def _pages(db: Database, project: str | None, after: int) -> Iterator[Row]:
    while True:
        with db.read() as tx:
            rows = store.events(tx, project, after, PAGE)
        yield from rows
        if len(rows) < PAGE:
            return
        after = int(rows[-1][0])


def status(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger status`: exit code 4 when a source has gaps, or a log may not be signed."""
    if args.cloud:
        found = RemoteBook(args, args.project or "").status()
        out.result({"logs": [found]})
        _show_log(found, found["project_id"] or "installation", out)
        return table.FINDINGS if found["refused"] else table.OK
    from andromede.sovereignty import store as rows
    from andromede.sovereignty import views

    local = Local.open(args)
    db, names = local.base.db, Names(local.base.config, local.base.db)
    books = [local.book(args.project)] if args.project else local.books()
    logs = [views.status(local.ledger, book.log) for book in books[: len(books) if out.as_json else SHOWN_LOGS]]
    refused = [{"origin": origin, "size": size, "reason": reason} for origin, size, reason in rows.refusals(db)]
    sources, gaps = _sources(db)
    out.result({"logs": logs, "refused": refused, "sources": sources, "gaps": gaps})
    for found in logs:
        _show_log(found, names.project(found["project_id"] or ""), out)
    if len(books) > len(logs):
        out.say(f"and {len(books) - len(logs)} more logs: --project ID, or --json for all of them")
    heads = ("source", "first", "last", "events", "newest")
    out.say()
    out.table(heads, [[row[head] for head in heads] for row in sources])
    out.say()
    out.say("gaps: " + (", ".join(row["source"] for row in gaps) or "none"))
    for row in refused:
        out.say(f"REFUSED TO SIGN {row['origin']} at {row['size']}: {row['reason']}")
    return table.FINDINGS if gaps or refused or any(found["refused"] for found in logs) else table.OK


def _sources(db: Database) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with db.read() as tx:
        found = [
            {"source": row[0], "first": row[1], "last": row[2], "events": row[3], "newest": iso_milli(int(row[4]))}
            for row in store.sources(tx)
        ]
    return found, [row for row in found if row["last"] - row["first"] + 1 != row["events"]]


def _show_log(found: dict[str, Any], name: str, out: Output) -> None:
    made = found["checkpoint"]
    signed = f"checkpoint of {made['size']}, {span(made['age_seconds'])} old" if made else "no checkpoint yet"
    out.say(f"{name}  {found['origin']}")
    out.say(f"  {found['allocated']} events, {found['waiting']} waiting; {signed}")
    out.say(f"  {found['summary']}")
    for row in found["witnesses"]:
        seen = f"signed {row['size']}, {span(row['age_seconds'])} ago" if row["signed_at"] else "has signed nothing"
        stale = "" if row["fresh"] else ", STALE"
        told = f"run by {row['run_by']}" if row["run_by"] else "run by: not told"
        failing = f"; {row['failures']} calls failed: {row['error']}" if row["failures"] else ""
        out.say(f"    {row['name']}  {seen}{stale}  {row['url'] or 'no URL: not asked from here'}  {told}{failing}")
    if found["refused"]:
        out.say(f"  REFUSED TO SIGN: {found['refused']}")


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

    def tenant(self, name: str) -> str:
        """The tenant that `name` stands for: a project's id or name, or `installation`."""
        if name == "installation":
            return ""
        found = None if self._auth.project(name) else self._auth.project_by_name(name)
        return found.id if found else name


def _line(body: bytes, place: str, tenant: str, names: Names | None) -> str:
    if not body:
        return f"{'-':24} - {place:8} content removed  {names.project(tenant) if names else tenant}"
    event = json.loads(body.decode("utf-8", "surrogateescape"))
    mark = {"success": " ", "denied": "!"}.get(event["outcome"], "?")
    who = f"{names.actor(event['actor'])} {names.project(tenant)}" if names else f"{event['actor']} project:{tenant}"
    what = f"{event['action']:24} {event['object'] or '-'}"
    return f"{iso_milli(event['ts'])} {mark} {place:8} {what}  {who}  {event['request_id']}"


def _fills(row: Row) -> bool:
    """Whether the event only fills a place that no request used."""
    return bool(row[2]) and bool(json.loads(bytes(row[2]).decode("utf-8", "surrogateescape"))["action"] == PAD)


def _shown(rows: list[Row], args: argparse.Namespace) -> list[Row]:
    return rows if args.all or args.json else [row for row in rows if not _fills(row)]


def _newest(fetch: Callable[[int], list[Row]], args: argparse.Namespace) -> list[Row]:
    """The newest `--count` events to show; what only fills places does not count. Looks through `MOST` at most, and
    asks for plenty at once: over the API each question is an event too."""
    asked = args.count if args.all or args.json else max(args.count, min(10 * args.count + 200, MOST))
    while True:
        rows = fetch(asked)
        found = _shown(rows, args)
        if len(found) >= args.count or len(rows) < asked or asked >= MOST:
            return found[max(0, len(found) - args.count) :]
        asked = min(4 * asked, MOST)


def _print(rows: list[Row], out: Output, names: Names | None) -> None:
    """Rows of (id, tenant, body, place in the tenant's log)."""
    for number, tenant, body, place in rows:
        if out.as_json:
            event = json.loads(bytes(body).decode("utf-8", "surrogateescape")) if body else None
            out.line({"id": number, "tenant": tenant, "index": place, "event": event})
        else:
            out.say(_line(bytes(body), "-" if place is None else f"#{place}", tenant, names))


def tail(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger tail`: with --json one line per event; `#N` is the place in the project's log."""
    if args.cloud:
        return _remote(args, out)
    from andromede import app

    _, config = common.installed(args)
    base = app.Base.open(config, "operator")
    db, names = base.db, Names(config, base.db)
    tenant = names.tenant(args.project) if args.project else None
    with db.read() as tx:
        if tenant is not None and store.origin(tx, tenant) is None:
            raise NotFound(f"{args.project} has no log here; list them with: andromede ledger status", "log")
        rows = _newest(lambda count: store.newest(tx, tenant, count), args)
        after = max((int(row[0]) for row in store.newest(tx, tenant, 1)), default=0)
    told: set[str] = set()

    def tell(tenants: list[str]) -> None:
        fresh = [tenant for tenant in dict.fromkeys(tenants) if tenant not in told]
        told.update(fresh)
        if fresh:
            app.note_operation(base, TAIL, args.project or "events:all", "OPERATOR_REVIEW", fresh)

    tell([tenant or "", *([] if args.project else owners(rows))])
    _print(rows, out, names)
    clock = SystemClock()
    while args.follow:
        clock.sleep(0.5)
        rows = list(_pages(db, tenant, after))
        after = rows[-1][0] if rows else after
        rows = _shown(rows, args)
        tell([] if args.project else owners(rows))
        _print(rows, out, names)
    return table.OK


def _remote(args: argparse.Namespace, out: Output) -> int:
    """The same over the API: what the user of a cloud in clouds.yaml may see."""
    from andromede.cli.remote import Remote

    remote = Remote(common.layout(args).clouds, args.cloud)
    narrow = f"&project_id={args.project}" if args.project else ""
    clock, following = SystemClock(), ""

    def ask(words: str) -> list[Row]:
        nonlocal following
        found = remote.get(f"/ledger/v1/events?{words}{narrow}")
        following = f"after={found['next']}"
        return [
            (row["id"], row["tenant"], row["event"].encode("utf-8", "surrogateescape"), row.get("index"))
            for row in found["events"]
        ]

    _print(_newest(lambda count: ask(f"newest={min(max(count, 1), MOST)}"), args), out, None)
    while args.follow:
        clock.sleep(1.0)
        _print(_shown(ask(following), args), out, None)
    return table.OK


def find(db: Database, request_id: str) -> list[dict[str, Any]]:
    """Every event of one request."""
    from andromede.sovereignty.service import is_request

    needle = request_id.encode() if request_id.startswith("req-") else b""
    rows = (row for row in _pages(db, None, 0) if row[2] and needle in bytes(row[2]))
    events = (
        {"id": row[0], "tenant": row[1], "index": row[3], "event": json.loads(bytes(row[2]).decode(errors="replace"))}
        for row in rows
    )
    return [found for found in events if is_request(str(found["event"]["request_id"]), request_id)]
