"""status: what runs and what an operator should know, without asking the roles anything."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from typing import Any

from andromede import __version__
from andromede.cli import common, table
from andromede.cli.output import Output, size, span
from andromede.clock import SystemClock, iso_second
from andromede.config import Config
from andromede.errors import Error
from andromede.ops import running
from andromede.ops.layout import Layout
from andromede.ops.running import Running


def memory_of(pid: int) -> int | None:
    """Proportional set size of a process in bytes, where the kernel tells it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return None


def last_backup(place: Layout) -> Mapping[str, Any] | None:
    """What the last successful backup left behind."""
    try:
        found: Mapping[str, Any] = json.loads(place.last_backup.read_text())
    except (OSError, ValueError):
        return None
    return found


def _roles(state: Running, now_us: int) -> list[dict[str, Any]]:
    rows = [{"name": "supervisor", "pid": state.pid, "since_us": state.started_us, "restarts": 0}, *state.roles]
    return [
        {
            "name": row["name"],
            "pid": row["pid"],
            "up_seconds": (now_us - row["since_us"]) // 1_000_000 if row["pid"] else 0,
            "restarts": row["restarts"],
            "memory_bytes": memory_of(row["pid"]) if row["pid"] else None,
        }
        for row in rows
    ]


def _disk(place: Layout) -> dict[str, int]:
    found = os.statvfs(place.data)
    return {"free_bytes": found.f_bavail * found.f_frsize, "total_bytes": found.f_blocks * found.f_frsize}


def _stored(config: Config) -> dict[str, Any]:
    """What the database says; an unreachable one is a finding, not a failure of the command."""
    from andromede import app

    try:
        return app.inspect(config)
    except Error as error:
        return {"database_error": error.public}


def collect(place: Layout, config: Config) -> dict[str, Any]:
    """Everything that status shows."""
    now_us = SystemClock().now_us()
    locked = running.is_locked(place)
    state = running.read(place) if locked else None
    backup = last_backup(place)
    return {
        "version": __version__,
        "data": str(place.data),
        "running": locked,
        "supervised": state is not None,
        "api": state.api_url if state else None,
        "objects": state.objects_url if state else None,
        "region": config.server.region,
        "tls": state.tls if state else config.server.tls,
        "roles": _roles(state, now_us) if state else [],
        "disk": _disk(place),
        "backup": {**backup, "age_seconds": (now_us - int(backup["taken_us"])) // 1_000_000} if backup else None,
        "witnesses": None,
        "limits": limits(config),
        **_stored(config),
    }


def limits(config: Config) -> dict[str, Any]:
    """Bounds that this installation works under, per process where it says so."""
    from andromede.web.stream.limits import Limits

    edge = Limits()
    return {
        "object_workers": config.server.object_workers,
        "connections_per_worker": edge.connections,
        "threads_per_worker": edge.threads,
        "queued_requests_per_worker": edge.queued_jobs,
        "request_head_bytes": edge.head_bytes,
        "api_body_bytes": 1 << 20,
        "key_cache_seconds": config.objects.key_cache_seconds,
        "token_seconds": config.identity.token_seconds,
    }


def status(args: argparse.Namespace, out: Output) -> int:
    """`andromede status`: exit code 3 when nothing runs."""
    place, config = common.installed(args)
    found = collect(place, config)
    out.result(found)
    if not out.as_json:
        _show(found, out)
    return table.OK if found["running"] else table.NOT_RUNNING


def _show(found: Mapping[str, Any], out: Output) -> None:
    if found["running"] and not found["supervised"]:
        out.say(f"roles that were started apart run on {found['data']} (or it is starting now)")
    elif found["running"]:
        out.say(f"Andromède {found['version']} runs on {found['data']}")
        out.say(f"  API      {found['api']}")
        out.say(f"  objects  {found['objects']}")
        out.say()
        rows = [
            (
                role["name"],
                role["pid"] or "down",
                span(role["up_seconds"]),
                role["restarts"],
                size(role["memory_bytes"]) if role["memory_bytes"] else "",
            )
            for role in found["roles"]
        ]
        out.table(("role", "pid", "up", "restarts", "memory"), rows)
        total = sum(role["memory_bytes"] or 0 for role in found["roles"])
        out.say(f"memory of all processes: {size(total)}")
    else:
        out.say(f"nothing runs on {found['data']}; start it with: andromede up --data {found['data']}")
    out.say()
    for name, text in _lines(found):
        out.say(f"{name + ':':10} {text}")


def _lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = [("keys", found.get("custody", "unknown"))]
    if "database_error" in found:
        lines.append(("database", found["database_error"]))
    else:
        lines.append(("database", f"{found['database']}, {_or_none(found['pending_migrations'], 'current schema')}"))
        audit = found["audit"]
        gaps = ", ".join(f"{gap['source']} lacks {gap['missing']}" for gap in audit["gaps"])
        lines.append(("audit", f"{audit['events']} events from {audit['sources']} sources; gaps: {gaps or 'none'}"))
        lines.append(("ledger", _ledger(found.get("ledger"))))
        depth = ", ".join(f"{name} {count}" for name, count in found["queues"].items())
        lines.append(("queues", depth or "none"))
        lines += _hosting(found.get("hosting"))
    lines.append(("witnesses", found["witnesses"]["text"] if found["witnesses"] else "not known"))
    disk = found["disk"]
    lines.append(("disk", f"{size(disk['free_bytes'])} free of {size(disk['total_bytes'])}"))
    backup = found["backup"]
    lines.append(("backup", f"{span(backup['age_seconds'])} old, in {backup['dest']} (taken {_when(backup)})"
                  if backup else "none yet; make one with: andromede backup DEST"))  # fmt: skip
    shown = ", ".join(f"{name} {value}" for name, value in found["limits"].items())
    lines.append(("limits", shown))
    return lines


def _ledger(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not there yet"
    text = f"{found['logs']} logs with {found['entries']} entries, {found['waiting']} events waiting"
    if not found["keys"]:
        text += "; the key file is missing: nothing is signed"
    refused = "; ".join(f"{row['origin']} at {row['size']}: {row['reason']}" for row in found["refused"])
    return text + (f"; REFUSED TO SIGN {refused}" if refused else "")


def _hosting(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Resources by state, and a line for each row whose work does not get on."""
    if not found or not (any(found["counts"].values()) or found["stuck"]):
        return [("hosting", "no resources")] if found and found["counts"] else []
    parts = [
        f"{kind} {', '.join(f'{count} {state}' for state, count in states.items())}"
        for kind, states in found["counts"].items()
        if states
    ]
    slow = [
        f"{row['kind']} {row['id']} is {row['state']} for {span(row['seconds'])} after {row['tries']} failures"
        + (f": {row['fault']}" if row["fault"] else "")
        for row in found["stuck"]
    ]
    return [("hosting", "; ".join(parts)), *(("stuck", text) for text in slow)]


def _or_none(pending: list[str], good: str) -> str:
    return f"{len(pending)} migrations missing (andromede migrate)" if pending else good


def _when(backup: Mapping[str, Any]) -> str:
    return iso_second(int(backup["taken_us"]))
