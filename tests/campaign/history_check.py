"""Is there an order of these operations that explains what everybody saw? A checker of linearizability.

An operation takes effect at one moment between its call and its answer; one whose answer was lost takes effect at any
moment after its call, or never. The search is that of Wing and Gong with Lowe's memory of configurations visited
(J. M. Wing, C. Gong, "Testing and verifying concurrent objects", 1993; G. Lowe, "Testing for linearizability", 2017):
a configuration is the set of operations placed so far and the state that they lead to. Reads and refusals that fit the
state are placed at once: as they never change anything, an order that goes on from here can as well begin with them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

NEVER = float("inf")
READS = frozenset(("read", "get", "get_version", "versions", "look", "unlike"))
"""Operations of the models that never change the state. What was `seen` False was refused and did not either."""
LIMIT = 2_000_000
"""Configurations after which the search gives up; the verdict is then neither yes nor no, and no campaign passes."""


@dataclass(frozen=True, slots=True)
class Op:
    """One operation on one thing. Times are of one monotonic clock; `back` None: the answer was lost.

    `do` names what was asked, `value` and `expect` are its arguments, `seen` is the answer; models say more.
    """

    call: float
    back: float | None
    do: str
    value: Hashable = None
    expect: Hashable = None
    seen: Hashable = None
    who: str = ""

    @property
    def idle(self) -> bool:
        """Whether it changes nothing, in whatever state."""
        return self.back is not None and (self.do in READS or self.seen is False)

    @property
    def end(self) -> float:
        return NEVER if self.back is None else self.back

    def __str__(self) -> str:
        shown = [f"{self.call:.6f}..{'lost' if self.back is None else format(self.back, '.6f')}", self.do]
        shown += [f"{word}={item!r}" for word in ("value", "expect") if (item := getattr(self, word)) is not None]
        if self.back is not None:
            shown.append(f"seen={self.seen!r}")
        return " ".join((*shown, self.who))


Model = Callable[[Any, Op], Any]
"""(state, operation) to the state afterwards, or `REFUSED` when the answer does not fit. The answer of a lost operation
is not looked at; `REFUSED` means then that it would not have changed anything."""


class Refused:
    """No state: the operation cannot have been answered so."""


REFUSED = Refused()


@dataclass(slots=True)
class Verdict:
    """Whether an order exists; None when the search was given up. `why` tells where it stopped."""

    holds: bool | None
    looked: int
    why: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Search:
    """The operations of one history, those with answers and those without."""

    model: Model
    sure: list[Op]
    lost: list[Op]
    visited: set[tuple[int, int, Hashable]] = field(default_factory=set)
    furthest: tuple[int, int, int, Any] = (-1, 0, 0, None)

    def window(self, placed: int) -> tuple[list[int], float]:
        """Operations that may come next, and the earliest answer among those not placed: nothing called later may."""
        found: list[int] = []
        limit = NEVER
        low = (~placed & (placed + 1)).bit_length() - 1  # the first that is not placed
        for number in range(low, len(self.sure)):
            if placed >> number & 1:
                continue
            op = self.sure[number]
            if op.call > limit:
                break
            found.append(number)
            limit = min(limit, op.end)
        return found, limit

    def settled(self, placed: int, state: Any) -> tuple[int, list[int], float]:
        """Place everything that fits and changes nothing; what is left to choose from."""
        while True:
            found, limit = self.window(placed)
            idle = [n for n in found if self.sure[n].idle and self.model(state, self.sure[n]) is not REFUSED]
            if not idle:
                return placed, found, limit
            for number in idle:
                placed |= 1 << number

    def next(self, placed: int, taken: int, state: Any) -> list[tuple[int, int, Any]] | None:
        """Configurations after this one, the likeliest last; None when everything with an answer has its place."""
        placed, found, limit = self.settled(placed, state)
        if not found:
            return None
        count = placed.bit_count()
        if count > self.furthest[0]:
            self.furthest = (count, placed, taken, state)
        after = []
        for number, op in enumerate(self.lost):
            if not taken >> number & 1 and op.call <= limit:
                new = self.model(state, op)
                if new is not REFUSED and new != state:
                    after.append((placed, taken | 1 << number, new))
        for number in sorted(found, key=lambda number: -self.sure[number].end):
            new = self.model(state, self.sure[number])
            if new is not REFUSED:
                after.append((placed | 1 << number, taken, new))
        return after

    def explain(self) -> list[str]:
        """The furthest that any order came: the state there, and what could not follow."""
        count, placed, taken, state = self.furthest
        found, _ = self.window(placed)
        before = [str(self.sure[number]) for number in range(len(self.sure)) if placed >> number & 1][-8:]
        unused = [str(op) for number, op in enumerate(self.lost) if not taken >> number & 1]
        return [
            f"{count} of {len(self.sure)} operations can be placed, which leads to {state!r};",
            *(f"  placed: {line}" for line in before),
            *(f"  cannot follow: {self.sure[number]}" for number in found),
            *(f"  lost, not used: {line}" for line in unused[:8]),
        ]


def check(history: Sequence[Op], model: Model, initial: Any = None, limit: int = LIMIT) -> Verdict:
    """Look for an order. Raises ValueError for an answer before its call."""
    if any(op.end < op.call for op in history):
        raise ValueError("an answer came before its call: the clock is not monotonic")
    ordered = sorted(history, key=lambda op: op.call)
    search = Search(model, [op for op in ordered if op.back is not None], [op for op in ordered if op.back is None])
    stack = [(0, 0, initial)]
    while stack:
        here = stack.pop()
        if here in search.visited:
            continue
        search.visited.add(here)
        if len(search.visited) > limit:
            return Verdict(None, limit, [f"given up after {limit} configurations", *search.explain()])
        after = search.next(*here)
        if after is None:
            return Verdict(True, len(search.visited))
        stack.extend(after)
    return Verdict(False, len(search.visited), search.explain())
