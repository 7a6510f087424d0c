"""The bench's own arithmetic: cases, medians, ratios of rounds, percentiles, what wrk prints. No input, no output."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
STORING = ("put", "get", "crc", "head", "delete", "list", "mixed", "multipart")
TOKENS = ("issue", "validate")
LARGE = 1 << 20  # bodies from here on are sent by threads, smaller ones by wrk
Line = dict[str, Any]


def size_of(text: str) -> int:
    """`4096`, `4KiB`, `64MiB` in bytes; ValueError otherwise."""
    found = re.fullmatch(r"(\d+)(|KiB|MiB|GiB)", text)
    if found is None:
        raise ValueError(f"{text!r} is no size (examples: 4096, 4KiB, 64MiB)")
    return int(found[1]) * UNITS[found[2]]


def size_text(size: int) -> str:
    """The shortest exact form: 4096 is `4KiB`."""
    unit = next(name for name in reversed(UNITS) if size % UNITS[name] == 0 and size >= UNITS[name])
    return f"{size // UNITS[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load: `put:4KiB:64` is PUT of 4 KiB over 64 connections.

    For `list` the size counts keys, for `validate` tokens: `validate:1:16` asks about one again and again,
    `validate:300:16` about 300 fresh ones, each once."""

    operation: str
    size: int
    connections: int

    @classmethod
    def of(cls, text: str) -> Case:
        operation, _, rest = text.partition(":")
        size, _, connections = rest.partition(":")
        if operation not in (*STORING, *TOKENS) or not connections.isdigit() or int(connections) < 1:
            raise ValueError(f"{text!r} is no case (operation:size:connections, for example put:4KiB:64)")
        return cls(operation, size_of(size), int(connections))

    def __str__(self) -> str:
        return f"{self.operation}:{size_text(self.size)}:{self.connections}"

    @property
    def large(self) -> bool:
        """Whether the rate is told in megabytes a second."""
        return self.operation in ("put", "get", "crc", "multipart") and self.size >= LARGE


def cases_of(text: str) -> list[Case]:
    """A comma-separated list, each once; a part may name several sizes and connections: `put+get:4KiB+64KiB:1+16`."""
    found: dict[Case, None] = {}
    for part in filter(None, text.split(",")):
        words = part.split(":")
        if len(words) != 3:
            raise ValueError(f"{part!r} is no case (operation:size:connections, for example put:4KiB:64)")
        for size in words[1].split("+"):
            for connections in words[2].split("+"):
                found |= {Case.of(f"{name}:{size}:{connections}"): None for name in words[0].split("+")}
    return list(found)


def turns(names: Sequence[str], turn: int) -> list[str]:
    """Who goes in which order at this turn: each system is first equally often, and the direction alternates."""
    start = turn // 2 % len(names)
    rotated = [*names[start:], *names[:start]]
    return rotated[::-1] if turn % 2 else rotated


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which this share lies; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def summary(seconds: Sequence[float], failures: Sequence[str], took: float, each: float = 1.0) -> Line:
    """A load of `took` seconds, from the seconds of each good answer and the words of each failure.

    Operations, rate a second with `each` for an operation, failures, p50 and p99 in milliseconds, the first failure."""
    found: Line = {"operations": len(seconds), "rate": len(seconds) * each / took, "failures": len(failures)}
    found |= {"p50": percentile(seconds, 0.5) * 1e3, "p99": percentile(seconds, 0.99) * 1e3}
    return {**found, "why": list(failures[:1])}


def milliseconds(text: str) -> float:
    """wrk's `1.25ms`, `310.00us`, `2.10s` or `1.02m` in milliseconds."""
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise ValueError(f"{text!r} is no time of wrk")
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[found[2]]


def of_wrk(text: str) -> Line:
    """What `wrk --latency` printed: operations, rate a second, p50 and p99 in milliseconds, failures.

    Answers that are no 2xx or 3xx and errors of sockets are failures and no operations; the rate counts none of the
    former. ValueError when a figure is missing."""
    count, took = (
        re.search(r"(\d+) requests in ([\d.]+(?:us|ms|s|m)),", text),
        re.search(r"Requests/sec: +([\d.]+)", text),
    )
    shares = dict(re.findall(r"^ +(50|99)% +(\S+)", text, re.MULTILINE))
    if count is None or took is None or set(shares) != {"50", "99"}:
        raise ValueError(f"wrk printed no figures: {text[-500:]}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: (.*)", text)
    refused = int(bad[1]) if bad else 0
    good = int(count[1]) - refused
    return {
        "operations": good,
        "rate": float(took[1]) * good / max(1, int(count[1])),
        "p50": milliseconds(shares["50"]),
        "p99": milliseconds(shares["99"]),
        "failures": refused + sum(int(number) for number in re.findall(r"\d+", broken[1] if broken else "")),
    }


@dataclass(frozen=True, slots=True)
class Results:
    """All lines measured so far: peer, case, round, rate, cpu_us, p50, p99, failures."""

    lines: Sequence[Line]

    def values(self, peer: str, case: str, key: str) -> dict[int, float]:
        """Round -> figure."""
        return {line["round"]: line[key] for line in self.lines if (line["peer"], line["case"]) == (peer, case)}

    def median(self, peer: str, case: str, key: str) -> float | None:
        values = self.values(peer, case, key)
        return statistics.median(values.values()) if values else None

    def ratio(self, ours: str, peer: str, case: str, key: str, other: str = "") -> float | None:
        """Median over the rounds of ours ÷ the peer's; `other` is the peer's case where it is not the same one.

        None without a round in which both have the figure."""
        mine, theirs = self.values(ours, case, key), self.values(peer, other or case, key)
        pairs = [mine[number] / theirs[number] for number in mine.keys() & theirs.keys() if theirs[number]]
        return statistics.median(pairs) if pairs else None

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(line["case"] for line in self.lines))

    @property
    def failures(self) -> int:
        return sum(line["failures"] for line in self.lines)
