"""Hostile input: findings made small, so that a person reads ten bytes instead of ten thousand."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.campaign import fuzz_raw
from tests.campaign.fuzz_ask import Ask, Target, judge, render
from tests.campaign.fuzz_wire import Late, Malformed, Wire

PLAYS = 150
PER_GROUP = 2


def group(finding: dict[str, Any]) -> str:
    """Findings of one cause look alike but for numbers and names."""
    place = finding.get("ask", {}).get("door") or finding.get("case", {}).get("door") or ""
    what = re.sub(r"[A-Z][a-z]{2}, \d\d .*? GMT|[0-9]{3,}(?=.*answers)|[0-9]{4,}", "N", finding["wrong"])
    return f"{place} {what[:70]}".strip()


def write(findings: list[dict[str, Any]], to: Target, folder: Path, seed: str) -> dict[str, str]:
    """A file for each group of findings; file name -> what is wrong."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        groups.setdefault(group(finding), []).append(finding)
    written = {}
    for number, (name, alike) in enumerate(sorted(groups.items())):
        few = [{**one, "reduced": reduced(one, to)} for one in alike[:PER_GROUP]]
        path = folder / f"seed-{seed}-{number:02d}.json"
        path.write_text(json.dumps({"wrong": name, "seen": len(alike), "seed": seed, "examples": few}, indent=1))
        written[path.name] = f"{name} ({len(alike)} times)"
    return written


def reduced(finding: dict[str, Any], to: Target) -> dict[str, Any] | None:
    """The smallest form found that is still wrong; None when it is not wrong on its own."""
    tls = ssl.create_default_context(cafile=to.ca) if to.ca else None
    if finding["kind"] == "raw":
        case = fuzz_raw.Case(
            finding["case"]["door"],
            [piece.encode("latin-1") for piece in finding["case"]["pieces"]],
            finding["case"]["then"],
        )

        def bad(pieces: list[bytes]) -> bool:
            wire = Wire(to.address(case.door), tls=tls, seconds=40)
            try:
                return bool(fuzz_raw.play(replace(case, pieces=pieces), wire).wrong)
            finally:
                wire.close()

        if not bad(case.pieces):
            return None
        data = smallest(case.data, lambda raw: bad([raw])) if bad([case.data]) else None
        return replace(case, pieces=[data] if data is not None else case.pieces).document()
    if finding["kind"] != "ask":
        return None
    fields = dict(finding["ask"])
    ask = Ask(
        **{**fields, "headers": [tuple(pair) for pair in fields["headers"]], "body": fields["body"].encode("latin-1")}
    )
    return _ask(ask, to, tls)


def _ask(ask: Ask, to: Target, tls: ssl.SSLContext | None) -> dict[str, Any] | None:
    plays = iter(range(PLAYS))

    def bad(one: Ask) -> bool:
        if next(plays, None) is None:
            return False
        wire = Wire(to.address(one.door), tls=tls, seconds=40)
        try:
            wire.send(render(one, to))
            reply = wire.read(one.method)
            return reply is None or bool(judge(one, reply))
        except (Late, Malformed):
            return True
        finally:
            wire.close()

    if not bad(ask):
        return None
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(ask):
            if bad(smaller):
                ask, changed = smaller, True
                break
    return ask.document()


def _smaller(ask: Ask) -> Iterator[Ask]:
    """The same with a little less."""
    for at in range(len(ask.headers)):
        yield replace(ask, headers=ask.headers[:at] + ask.headers[at + 1 :])
    path, mark, query = ask.target.partition("?")
    parts = query.split("&") if mark else []
    for at in range(len(parts)):
        rest = "&".join(parts[:at] + parts[at + 1 :])
        yield replace(ask, target=f"{path}?{rest}" if rest else path)
    if ask.chunked:
        yield replace(ask, chunked=0)
    half = len(ask.body) // 2
    if half:
        yield replace(ask, body=ask.body[:half])
        yield replace(ask, body=ask.body[half:])
    elif ask.body:
        yield replace(ask, body=b"")


def smallest(data: bytes, bad: Callable[[bytes], bool]) -> bytes:
    """Delta debugging over bytes (Zeller and Hildebrandt, 2002), within a budget."""
    plays, size = 0, max(1, len(data) // 2)
    while size and plays < PLAYS:
        at = 0
        while at < len(data) and plays < PLAYS:
            less = data[:at] + data[at + size :]
            plays += 1
            if less and bad(less):
                data = less
            else:
                at += size
        size //= 2
    return data
