"""ledger renew: how an installation goes on when its newest database is lost."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from andromede.cli import common, table
from andromede.cli.ledger_books import Local
from andromede.cli.output import Output
from andromede.cli.store import operator
from andromede.errors import Conflict, Invalid
from andromede.ops import running


def renew(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger renew REASON`: on a stopped installation."""
    from andromede.ids import request_id
    from andromede.sovereignty import renewal

    place, _ = common.installed(args)
    if running.is_locked(place):
        raise Conflict("roles run and know the logs by their names; stop them first: andromede down", "running")
    if not 1 <= len(args.reason.strip()) <= 500:
        raise Invalid("say in 1 to 500 characters what happened: tenants will read it", "config")
    local = Local.open(args)
    base, standing = local.base, renewal.stopped(local.base.db)
    books = [local.book(args.project)] if args.project else local.books()
    logs = [book.log for book in books if args.project or book.log.origin in standing]
    if not logs:
        out.result({"renewed": []})
        out.say("every log may be signed: there is nothing to renew")
        return table.OK
    if not out.as_json and not args.yes:
        for log in logs:
            out.say(f"{log.origin}: {standing.get(log.origin, 'goes on')}")
        out.say("These logs end here for good. Is their newer database truly lost, and will you tell the tenants?")
        if input("Type yes to go on: ").strip() != "yes":
            raise Invalid("nothing was renewed", "confirm")
    order = renewal.Order(operator(), args.reason.strip(), request_id(base.ids))
    made = [renewal.renew(base.db, base.recorder, base.ids, log.tenant, order) for log in logs]
    base.db.close()
    out.result({"renewed": [asdict(one) for one in made]})
    for one in made:
        out.say(f"{one.old} ended at {one.size}; in its place: {one.new}")
    out.say(f"Start with: andromede up --data {place.data}. Give tenants the new origins and what was lost.")
    return table.OK
