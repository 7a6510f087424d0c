"""One round of a campaign of histories: clients on a few things, all their operations with times, and the verdict."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.campaign.history_check import Model, Op, check
from tests.support.facts import Scene
from tests.support.workers import Answer, Headers, Line, Sign, Unknown, Unreached

now = time.monotonic
NEW_LINE, CUT = 0.2, 0.01
"""How often a request takes a new connection, so that any worker may get it; how often its answer is not waited for."""


@dataclass(slots=True)
class Round:
    """What the clients of one round share. `losing`: roles are killed, so that answers may be lost."""

    scene: Scene
    seed: int
    model: Model
    initial: Any = None
    losing: bool = False
    histories: dict[str, list[Op]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    ending: threading.Event = field(default_factory=threading.Event)
    gate: threading.Lock = field(default_factory=threading.Lock)

    def add(self, thing: str, op: Op) -> None:
        with self.gate:
            self.histories.setdefault(thing, []).append(op)
            self.counts[op.do] += 1
            self.counts["lost"] += op.back is None

    def problem(self, text: str) -> None:
        with self.gate:
            self.problems.append(text)

    def verdicts(self) -> list[str]:
        """What is wrong: problems of clients, and histories that nothing explains."""
        found = list(self.problems)
        for thing, history in sorted(self.histories.items()):
            verdict = check(history, self.model, self.initial)
            self.counts["histories"] += 1
            self.counts["configurations"] += verdict.looked
            if verdict.holds is not True:
                kind = "is not linearizable" if verdict.holds is False else "could not be decided"
                found.append(f"{thing} {kind}: " + "\n".join(verdict.why))
        return found


class Skipped(Exception):
    """The request was never sent."""


@dataclass(slots=True)
class Timed:
    """A request with its times; without an answer when that was lost."""

    call: float
    back: float | None
    answer: Answer | None


@dataclass
class Client:
    """One thread that asks for things, over connections of its own. Kinds of rounds say what."""

    round: Round
    name: str
    lines: list[Line] = field(default_factory=list)
    thread: threading.Thread | None = None
    serial: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.round.seed} {self.name}")
        self.scene = self.round.scene

    def acts(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """(weight, what to do)."""
        raise NotImplementedError

    def run(self) -> None:
        weights, acts = zip(*self.acts(), strict=True)
        while not self.round.ending.is_set():
            try:
                self.chance.choices(acts, weights)[0]()
            except Skipped as nothing:
                if not self.round.losing:
                    self.round.problem(f"{self.name}: {nothing}")
                self.round.ending.wait(0.02)
            except AssertionError as failure:
                self.round.problem(f"{self.name}: {failure}")
        for line in self.lines:
            line.close()

    def line(self) -> Line:
        """A connection: one of its own few, or a new one."""
        if not self.lines or self.chance.random() < NEW_LINE:
            self.lines.append(self.scene.workers.line())
            if len(self.lines) > 3:
                self.lines.pop(self.chance.randrange(3)).close()
            return self.lines[-1]
        return self.chance.choice(self.lines)

    def ask(self, sign: Sign, method: str, target: str, body: bytes = b"", headers: Headers | None = None) -> Timed:
        """One request. A lost answer is a problem unless this round loses some."""
        line = self.line()
        if method in ("PUT", "POST", "DELETE") and self.chance.random() < CUT:
            return self.cut(line, sign, method, target, body, headers)
        call = now()
        try:
            answer = line.ask(sign, method, target, body, headers)
        except Unreached as failure:
            raise Skipped(str(failure)) from failure
        except Unknown as lost:
            if not self.round.losing:
                self.round.problem(f"{self.name}: {lost}")
            return Timed(call, None, None)
        return Timed(call, now(), answer)

    def cut(self, line: Line, sign: Sign, method: str, target: str, body: bytes, headers: Headers | None) -> Timed:
        """Send a request and hang up."""
        call = now()
        given = {"host": line.host, "content-length": str(len(body)), **(headers or {})}
        with contextlib.suppress(OSError):
            line.open().request(method, target, body, sign(method, target, given, body))
        line.close()
        return Timed(call, None, None)

    def note(self, thing: str, timed: Timed, do: str, **fields: Hashable) -> None:
        self.round.add(thing, Op(timed.call, timed.back, do, who=self.name, **fields))

    def fresh(self) -> str:
        """A value that nobody else gives."""
        self.serial += 1
        return f"{self.name}.{self.serial}"


def expect(timed: Timed, what: str, *statuses: int) -> Answer | None:
    """The answer if its status is one of these, None if it was lost. Raises AssertionError."""
    answer = timed.answer
    if answer is not None:
        assert answer.status in statuses, f"{what}: {answer.status} {answer.body[:300]!r}"
    return answer


def run(round: Round, clients: Sequence[Client], seconds: float, meanwhile: Callable[[], None] | None = None) -> None:
    """Let the clients work for so long; `meanwhile` is called once they do."""
    for client in clients:
        client.thread = threading.Thread(target=client.run, name=client.name)
        client.thread.start()
    end = now() + seconds
    try:
        if meanwhile is not None:
            meanwhile()
        time.sleep(max(0.0, end - now()))
    finally:
        round.ending.set()
        for client in clients:
            if client.thread is not None:
                client.thread.join()
