"""explain: a request by its id, or who may do what."""

from __future__ import annotations

import argparse
import json
from typing import Any

from andromede.cli import common, ledger, table
from andromede.cli.output import Output
from andromede.clock import iso_milli
from andromede.errors import Invalid, NotFound
from andromede.ops import logfile


def explain(args: argparse.Namespace, out: Output) -> int:
    """`andromede explain REQUEST_ID` or `andromede explain access [USER ACTION [RESOURCE]]`."""
    words: list[str] = args.words
    if words[0] == "access":
        return _access(args, words[1:], out)
    if len(words) > 1:
        raise Invalid("give one REQUEST_ID, or: access USER ACTION [RESOURCE]", "config")
    return _request(args, words[0], out)


def _request(args: argparse.Namespace, request_id: str, out: Output) -> int:
    from andromede import app

    place, config = common.installed(args)
    base = app.Base.open(config, "operator")
    events = ledger.find(base.db, request_id)
    if events:  # whoever is concerned learns who looked
        tenants = dict.fromkeys(str(row["tenant"]) for row in events)
        app.note_operation(base, "operator:explain", request_id, "OPERATOR_REVIEW", tenants)
    base.db.close()
    ids = {request_id, *(str(row["event"]["request_id"]) for row in events)}
    lines = [line for line in logfile.all_lines(place.log) if any(word in line for word in ids)]
    if not events and not lines:
        raise NotFound(
            f"{request_id} left no event and no log line here: it may be of another installation, "
            "refused before it was read, or its log was turned over",
            "request",
        )
    out.result({"request_id": request_id, "events": events, "log": [_parsed(line) for line in lines]})
    for row in events:
        _show(row, out)
    for line in lines:
        out.say("log: " + line)
    return table.OK


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line


def _show(row: dict[str, Any], out: Output) -> None:
    event = row["event"]
    out.say(f"{event['action']} on {event['object'] or 'the installation'}: {event['outcome']}")
    out.say(f"  when     {iso_milli(event['ts'])}")
    out.say(f"  who      {event['actor']}")
    out.say(f"  project  {row['tenant'] or '-'}")
    out.say(f"  purpose  {event['purpose']}")
    out.say(f"  source   {event['source']} number {event['seq']}")
    if row["index"] is not None:
        log = f"--project {row['tenant'] or 'installation'}"
        out.say(f"  ledger   entry {row['index']}; its receipt: andromede ledger receipt {log} {row['index']}")
    for name, value in sorted(event.get("detail", {}).items()):
        out.say(f"  {name:8} {value}")


def _access(args: argparse.Namespace, words: list[str], out: Output) -> int:
    from andromede import app

    if not words:
        rows = app.access_table()
        out.result([{"action": action, "allowed": who} for action, who in rows])
        out.table(("action", "allowed to"), rows)
        return table.OK
    if len(words) not in (2, 3):
        raise Invalid("usage: andromede explain access USER ACTION [RESOURCE]", "config")
    _, config = common.installed(args)
    found = app.explain_access(config, words[0], words[1], words[2] if len(words) == 3 else "")
    out.result(found)
    out.say(f"{found['user']} {'may' if found['allowed'] else 'may not'} {found['action']}"
            + (f" on {found['resource']}" if found["resource"] else ""))  # fmt: skip
    out.say(f"  rule   {found['rule']}")
    for line in found["because"]:
        out.say(f"  {line}")
    return table.OK
