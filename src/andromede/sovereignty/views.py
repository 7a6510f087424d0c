"""What routes and commands show of a log: plain values, and plain words on how far they can be trusted."""

from __future__ import annotations

from typing import Any

from andromede.clock import US, iso_milli, iso_second
from andromede.ledger.note import BadNote, open_note
from andromede.ledger.policy import Policy
from andromede.sovereignty import policies, policy_store
from andromede.sovereignty.log import LogState, Stored
from andromede.sovereignty.retention import MINIMUM_DAYS
from andromede.sovereignty.service import Ledger, shown

FRESH_SECONDS = 24 * 3600
AHEAD_SECONDS = 300
"""A cosignature may be dated this far into the future; what is beyond counts for nothing."""
TILE = 256


def entries(ledger: Ledger, log: LogState, first: int, to: int) -> dict[int, bytes]:
    """The stored 32 bytes of the entries first <= index < to that are in the tree."""
    found: dict[int, bytes] = {}
    for number in range(first // TILE, (min(to, log.size) + TILE - 1) // TILE):
        width = min(TILE, log.size - number * TILE)
        data = ledger.logs.entries(log.origin, number, width)
        found |= {number * TILE + at: data[34 * at + 2 : 34 * at + 34] for at in range(width)}
    return found


def lines(ledger: Ledger, log: LogState, first: int, to: int) -> list[dict[str, Any]]:
    """Events with their entries, as exports have them."""
    known = entries(ledger, log, first, to)
    return [shown(at, salt, event, known.get(at)) for at, salt, event in ledger.logs.events(log.tenant, first, to)]


def following(rows: list[dict[str, Any]], first: int) -> int:
    """The first index that is missing: events of reads may be written after later ones."""
    for row in rows:
        if row["index"] != first:
            break
        first += 1
    return first


def _signed(policy: Policy, stored: list[Stored], now: int) -> dict[str, tuple[int, int]]:
    """witness -> (size, time in seconds) of the newest checkpoint that it cosigned."""
    found: dict[str, tuple[int, int]] = {}
    for one in stored:
        try:
            _, signatures = open_note(one.text, [*policy.logs, *policy.witnesses.values()])
        except BadNote:
            continue
        for name, key in policy.witnesses.items():
            dated = [s.time for s in signatures if s.verifier == key and s.time is not None]
            times = [time for time in dated if time <= now + AHEAD_SECONDS]
            if times and name not in found:
                found[name] = one.size, times[0]
    return found


def witnesses(ledger: Ledger, log: LogState) -> dict[str, Any]:
    """Each witness of a log's policy with what it last signed, and what that amounts to."""
    policy = ledger.policy(log)
    now = ledger.tools.clock.now_us() // US
    signed = _signed(policy, ledger.logs.cosigned(log.origin), now)
    tried = {str(row[0]): row for row in policy_store.attempts(ledger.db, log.origin)}
    runners = policy_store.runners(ledger.db)
    rows = []
    for one in policies.listed(policy):
        size, time = signed.get(one.name, (None, None))
        age = None if time is None else max(0, now - time)
        rows.append(
            {
                "name": one.name,
                "key": str(one.key),
                "url": one.url,
                "run_by": runners.get(one.url, ""),
                "size": size,
                "signed_at": None if time is None else iso_second(time * US),
                "age_seconds": age,
                "fresh": age is not None and age <= FRESH_SECONDS,
                "failures": int(tried[one.url][2]) if one.url in tried else 0,
                "error": str(tried[one.url][3]) if one.url in tried else "",
            }
        )
    fresh = {str(row["name"]) for row in rows if row["fresh"]}
    met = policy.quorum != "none" and policy.met(fresh)
    return {
        "origin": log.origin,
        "own_policy": policies.own(ledger.db, log.tenant),
        "quorum": policy.quorum,
        "quorum_met": met,
        "summary": _words(policy, fresh, met),
        "witnesses": rows,
    }


def _words(policy: Policy, fresh: set[str], met: bool) -> str:
    if not policy.witnesses:
        return "unwitnessed: nobody but the operator vouches that all readers see the same log"
    if not fresh:
        return "unwitnessed: no witness has signed within 24 hours"
    names = ", ".join(sorted(fresh))
    if policy.quorum == "none":
        return f"cosigned within 24 hours by {names}; the policy asks for nobody"
    return f"cosigned within 24 hours by {names}; quorum {policy.quorum} {'met' if met else 'NOT met'}"


def status(ledger: Ledger, log: LogState) -> dict[str, Any]:
    """Size, lag, age of the checkpoint, witnesses, rule of retention."""
    newest = ledger.logs.newest(log.origin)
    now_us = ledger.tools.clock.now_us()
    seen = witnesses(ledger, log)
    return {
        "origin": log.origin,
        "project_id": log.tenant or None,
        "allocated": log.allocated,
        "size": log.size,
        "waiting": log.allocated - log.size,
        "checkpoint": None
        if newest is None
        else {
            "size": newest.size,
            "signed_at": iso_milli(newest.made),
            "age_seconds": max(0, now_us - newest.made) // US,
        },
        "keys": [str(key) for key in ledger.logs.verifiers(log.origin)],
        "quorum": seen["quorum"],
        "quorum_met": seen["quorum_met"],
        "summary": seen["summary"],
        "refused": policy_store.halt(ledger.db, log.origin),
        "witnesses": seen["witnesses"],
        "retention": {
            "event_days": max(ledger.tools.retention_days, MINIMUM_DAYS),
            "minimum_days": MINIMUM_DAYS,
            "entries": "for ever",
        },
    }


def month(row: dict[str, Any], log: LogState) -> dict[str, Any]:
    """A month's line for readers of one log; the installation's own readers see every root."""
    at = {"month": row["month"], "signed_at": iso_second(row["at"]), "index": row["index"], "pages": row["pages"]}
    chosen = row["roots"] if log.tenant == "" else {k: v for k, v in row["roots"].items() if k == log.origin}
    listed = [{"origin": origin, "size": int(size), "root": root} for origin, (size, root) in sorted(chosen.items())]
    return {**at, "logs": row["logs"], "roots": listed}
