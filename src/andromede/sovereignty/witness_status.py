"""How well the logs are witnessed, in figures and in plain words. Reads rows only: nobody is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from andromede.clock import US, SystemClock
from andromede.db import Database
from andromede.sovereignty import store as rows
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_circle import Circle

STALE_SECONDS = 24 * 3600
"""Age of the newest cosignature from which on a log counts as unwitnessed."""
NONE = (
    "none: the ledger is unwitnessed; whoever operates this machine could rewrite it. "
    "Name a witness with: andromede witness trust URL"
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of one log: the witnesses of its policy that cosigned within 24 hours, seconds since the newest cosignature
    (None: never), whether the quorum is among them, why it may not be signed ("" when it may)."""

    origin: str
    by: tuple[str, ...]
    age_seconds: int | None
    quorum: bool
    halted: str

    @property
    def witnessed(self) -> bool:
        """Whether anybody but the operator vouches for the log now."""
        return bool(self.by)


def freshness(db: Database, now_us: int, circle: Circle) -> list[Freshness]:
    """Every log that has entries, in order of tenant."""
    seen: dict[str, dict[str, int]] = {}
    for origin, url, _, cosigned, *_ in store.views(db):
        seen.setdefault(str(origin), {})[str(url)] = int(cosigned)
    halts = {str(row[0]): str(row[2]) for row in store.halts(db)}
    found = []
    for log in rows.logs(db):
        if not log.size:
            continue
        at = seen.get(log.origin, {})
        members = circle.members(log.tenant)
        times = [at[member.url] for member in members if at.get(member.url)]
        fresh = [m for m in members if now_us - at.get(m.url, 0) <= STALE_SECONDS * US]
        names = tuple(name for member in fresh for name in member.names)
        met = bool(names) and circle.policy(log.tenant).met(set(names))
        age = (now_us - max(times)) // US if times else None
        found.append(Freshness(log.origin, names, age, met, halts.get(log.origin, "")))
    return found


def circle_of(db: Database, private: bool) -> Circle:
    """The witnesses as the stored policies name them."""
    circle = Circle(db, SystemClock(), private)
    circle.load()
    return circle


def _witnesses(db: Database, now_us: int, circle: Circle) -> list[dict[str, Any]]:
    """One row for each witness that is asked: what it did last, over all logs."""
    found: dict[str, dict[str, Any]] = {
        url: {"url": url, "name": "", "run_by": "", "logs": 0, "age_seconds": None, "failing": 0, "error": ""}
        for url in sorted(circle.urls)
    }
    for url, row in found.items():
        if (peer := circle.peer(url)) is not None:
            row["name"], row["run_by"] = peer.name, peer.run_by
    newest: dict[str, int] = {}
    for _, url, _, cosigned, _, _, error in store.views(db):
        if url not in found:
            continue
        row = found[url]
        row["logs"] += bool(cosigned)
        row["failing"] += bool(error)
        row["error"] = error or row["error"]
        newest[url] = max(newest.get(url, 0), int(cosigned))
        row["age_seconds"] = (now_us - newest[url]) // US if newest[url] else None
    return sorted(found.values(), key=lambda row: (row["name"], row["url"]))


def overview(db: Database, now_us: int, private: bool) -> dict[str, Any]:
    """Counts over all logs, the witnesses one by one, the logs that may not be signed, and `text` in plain words."""
    circle = circle_of(db, private)
    logs = freshness(db, now_us, circle)
    ages = [one.age_seconds for one in logs if one.age_seconds is not None]
    found = {
        "logs": len(logs),
        "witnessed": sum(one.witnessed for one in logs),
        "quorum": sum(one.quorum for one in logs),
        "oldest_seconds": max(ages) if ages else None,
        "halted": [{"origin": one.origin, "reason": one.halted} for one in logs if one.halted],
        "asked": _witnesses(db, now_us, circle),
    }
    return {**found, "text": text(found)}


def text(found: dict[str, Any]) -> str:
    """The line of `andromede status`."""
    halted = [
        f"NOT SIGNED ANY MORE: {one['origin']}: {one['reason']}; see: andromede witness resume --help"
        for one in found["halted"][:_SHOWN]
    ]
    if not found["asked"]:
        return "; ".join([*halted, NONE])
    parts = [_said(row) for row in found["asked"][:_SHOWN]]
    if len(found["asked"]) > _SHOWN:
        parts.append(f"{len(found['asked']) - _SHOWN} more")
    bare, short = found["logs"] - found["witnessed"], found["witnessed"] - found["quorum"]
    counts = f"{found['witnessed']} of {found['logs']} logs witnessed within 24 h"
    if bare:
        counts += f", {bare} UNWITNESSED"
    if short:
        counts += f", {short} below the quorum of their policy"
    return "; ".join([*halted, counts, *parts])


def _said(row: dict[str, Any]) -> str:
    who = row["name"] or row["url"]
    run_by = f"run by {row['run_by']}" if row["run_by"] else "who runs it was not stated"
    said = f"{who} ({run_by}) " + ("never cosigned" if row["age_seconds"] is None else f"{row['age_seconds']} s ago")
    return said + (f", failing: {row['error']}" if row["error"] else "")
