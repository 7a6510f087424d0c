"""Hostile input: one client process, with several connections and pipelines on each."""

from __future__ import annotations

import random
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.campaign import fuzz_identity, fuzz_raw, fuzz_s3, fuzz_swift
from tests.campaign.fuzz_ask import Ask, Target, judge, render
from tests.campaign.fuzz_wire import Cut, Late, Malformed, Reply, Wire
from tests.campaign.fuzz_words import Chance
from tests.support.world import World

DEPTH = 8
OBJECT_WIRES, API_WIRES, RAW_CASES = 3, 1, 8
LIFE = 3000
"""Rounds after which buckets are left for fresh ones: documents in them may have locked everybody out."""


@dataclass(slots=True)
class Tally:
    """What a client has seen. `worked`: operations that succeeded at least once; `tried`: all. `cut`: ids of the
    requests whose answers broke off."""

    answered: int = 0
    raw: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    tried: set[str] = field(default_factory=set)
    worked: set[str] = field(default_factory=set)
    slowest: float = 0.0
    findings: list[dict[str, Any]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.answered += other.answered
        self.raw += other.raw
        self.statuses.update(other.statuses)
        self.tried |= other.tried
        self.worked |= other.worked
        self.slowest = max(self.slowest, other.slowest)
        self.findings += other.findings
        self.cut += other.cut


class Client:
    """Sends rounds of requests until it has its quota of answers."""

    def __init__(self, seed: str, to: Target) -> None:
        self.seed = seed
        self.to = to
        self.chance = Chance(random.Random(seed))
        self.tally = Tally()
        self.sites = fuzz_identity.sites(World(None, "", to.ids))  # type: ignore[arg-type]
        self.tls = ssl.create_default_context(cafile=to.ca) if to.ca else None
        self.wires: dict[tuple[str, int], Wire] = {}
        self.used: set[tuple[str, int]] = set()
        self.era = -1
        self.buckets: tuple[str, ...] = ()
        self.rounds = 0

    def run(self, quota: int, seconds: float = 1e9) -> Tally:
        end = time.monotonic() + seconds
        while self.tally.answered + self.tally.raw < quota and time.monotonic() < end:
            self.round()
        for wire in self.wires.values():
            wire.close()
        self.wires.clear()
        return self.tally

    def round(self) -> None:
        """A pipeline on every connection, then its answers; then bytes that are no requests."""
        if self.rounds % LIFE == 0:
            self._settle()
        self.rounds += 1
        sent: list[tuple[tuple[str, int], list[Ask], float]] = []
        for number in range(OBJECT_WIRES):
            asks = [self._object() for _ in range(DEPTH)]
            sent.append((("objects", number), asks, time.monotonic()))
        for number in range(API_WIRES):
            asks = [fuzz_identity.ask(self.chance, self.to, self.sites) for _ in range(DEPTH)]
            sent.append((("api", number), asks, time.monotonic()))
        for place, asks, _ in sent:
            self._send(place, asks)
        for place, asks, start in sent:
            self._read(place, asks, start)
        for _ in range(RAW_CASES):
            self._raw()

    def _settle(self) -> None:
        """Buckets of a new era: plain, versioned, with object lock; and what a Swift client begins with."""
        self.era += 1
        stem = f"fz-{self.seed}-{self.era}"
        self.buckets = (stem, f"{stem}-v", f"{stem}-l")
        for kind in ("upload", "etag", "version", "swift version"):
            self.chance.learned.pop(kind, None)
        lock = [("x-amz-bucket-object-lock-enabled", "true")]
        document = fuzz_s3.DOCUMENTS["versioning"][0].encode()
        asks = [
            Ask("s3", "PUT", f"/{stem}", auth="v4"),
            Ask("s3", "PUT", f"/{stem}-v", auth="v4"),
            Ask("s3", "PUT", f"/{stem}-v?versioning", body=document, auth="v4"),
            Ask("s3", "PUT", f"/{stem}-l", lock, auth="v4"),
            Ask(
                "swift",
                "POST",
                f"/v1/{self.to.account}",
                [("x-account-meta-temp-url-key", fuzz_swift.KEY)],
                auth="token:demo",
            ),
        ]
        self._send(("objects", 0), asks)
        self._read(("objects", 0), asks, time.monotonic())

    def _object(self) -> Ask:
        if self.chance.maybe(0.62):
            return fuzz_s3.ask(self.chance, self.to, self.buckets)
        return fuzz_swift.ask(self.chance, self.to, self.buckets)

    def _wire(self, place: tuple[str, int]) -> Wire:
        wire = self.wires.get(place)
        if wire is None:
            address = self.to.api if place[0] == "api" else self.to.objects
            wire = self.wires[place] = Wire(address, tls=self.tls)
        return wire

    def _send(self, place: tuple[str, int], asks: list[Ask]) -> None:
        data = b"".join([render(ask, self.to) for ask in asks])
        if not self._wire(place).send(data) and not self.wires[place].data:
            self._drop(place)
            self._wire(place).send(data)

    def _drop(self, place: tuple[str, int]) -> None:
        self.used.discard(place)
        self.wires.pop(place).close()

    def _read(self, place: tuple[str, int], asks: list[Ask], start: float) -> None:
        wire = self._wire(place)
        last: Reply | None = None
        for at, ask in enumerate(asks):
            try:
                reply = wire.read(ask.method)
            except Cut as cut:
                self.tally.cut.append(str(cut))
                self._drop(place)
                return
            except (Late, Malformed) as failure:
                self._found(str(failure), ask, asks[:at])
                self._drop(place)
                return
            self.tally.slowest = max(self.tally.slowest, time.monotonic() - start)
            if reply is None:
                used = place in self.used
                self._drop(place)
                if last is None and used:  # it had been idle, and its end and these requests have crossed
                    self._send(place, asks)
                    self._read(place, asks, start)
                else:
                    self._found("reset" if wire.reset else "closed without an answer", ask, asks[:at])
                return
            self._account(ask, reply)
            last = reply
            self.used.add(place)
            if reply.closes:
                self._drop(place)
                return

    def _account(self, ask: Ask, reply: Reply) -> None:
        tally = self.tally
        tally.answered += 1
        tally.statuses[f"{ask.door} {reply.status}"] += 1
        tally.tried.add(f"{ask.door} {ask.label}")
        if reply.status < 400:
            tally.worked.add(f"{ask.door} {ask.label}")
        if wrong := judge(ask, reply):
            self._found(wrong, ask, [], reply)
        if ask.door == "s3":
            fuzz_s3.learn(self.chance, reply)
        elif ask.door == "swift":
            fuzz_swift.learn(self.chance, reply)
        else:
            fuzz_identity.learn(self.chance, ask, reply)

    def _raw(self) -> None:
        case = fuzz_raw.case(self.chance)
        wire = Wire(self.to.address(case.door))
        outcome = fuzz_raw.play(case, wire) if self.tls is None else fuzz_raw.play_in_the_clear(case, wire)
        wire.close()
        self.tally.raw += max(1, len(outcome.replies))
        for reply in outcome.replies:
            self.tally.statuses[f"raw {reply.status}"] += 1
        if outcome.wrong:
            self.tally.findings.append({"kind": "raw", "wrong": outcome.wrong, "case": case.document()})

    def _found(self, wrong: str, ask: Ask, before: list[Ask], reply: Reply | None = None) -> None:
        finding = {"kind": "ask", "wrong": wrong, "ask": ask.document(), "before": [one.document() for one in before]}
        if reply is not None:
            finding["answer"] = {"status": reply.status, "body": reply.body[:2000].decode("latin-1")}
        self.tally.findings.append(finding)


def work(seed: str, quota: int, to: Target, out: Any, seconds: float = 1e9) -> None:
    """The body of a process; its tally goes to `out`."""
    client = Client(seed, to)
    try:
        client.run(quota, seconds)
    except Exception as error:
        client.tally.findings.append({"kind": "client", "wrong": f"{type(error).__name__}: {error}"})
        out.put(client.tally)
        raise
    out.put(client.tally)
