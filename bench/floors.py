"""The figures held against what the design sets ("The object path", section 5): floor and goal, reached or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.figures import Case, Results

MIB = 1 << 20
PUT, GET, BIG_PUT, BIG_CRC, BIG_GET = "put:4KiB:64", "get:4KiB:64", "put:64MiB:4", "crc:64MiB:4", "get:64MiB:4"
ISSUE, CACHED, COLD = "issue:1:1", "validate:1:16", "validate:300:16"
# what is compared -> case, the peer's case, and for each peer floor and goal of the ratio
RATIOS: Mapping[str, tuple[str, str, Mapping[str, tuple[float, float]]]] = {
    "PUT 4 KiB ×64": (PUT, PUT, {"swift": (40, 100), "rgw": (10, 25), "nginx": (1.5, 4)}),
    "GET 4 KiB ×64": (GET, GET, {"swift": (50, 100), "rgw": (10, 20), "nginx": (0.3, 0.55)}),
    "PUT 64 MiB ×4 with MD5": (BIG_PUT, BIG_PUT, {"swift": (2.5, 4), "rgw": (2, 3), "nginx": (0.8, 1.2)}),
    "PUT 64 MiB ×4 without MD5": (BIG_CRC, BIG_PUT, {"swift": (4, 8), "rgw": (3, 6), "nginx": (1.5, 2.3)}),
    "GET 64 MiB ×4": (BIG_GET, BIG_GET, {"swift": (5, 7), "rgw": (3.5, 5), "nginx": (0.7, 1)}),
    "validation of a token ×16": (CACHED, CACHED, {"keystone": (10, 10)}),
}
# what the machine must do for a MiB, each part by one processor: the limit is their sum
PARTS = {
    BIG_PUT: ("receive", "md5", "aes_gcm_seal", "write"),
    BIG_CRC: ("receive", "crc64nvme", "aes_gcm_seal", "write"),
    BIG_GET: ("read", "aes_gcm_open", "send"),
}
SHARES = {BIG_PUT: (60, 85), BIG_CRC: (40, 65), BIG_GET: (55, 80)}
SPENT = {PUT: (120, 60), GET: (70, 30)}
LATENCY = {"put:4KiB:16": (15, 5), "get:4KiB:16": (8, 2)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line: a figure, and the floor and goal that it is held against. `least` says that more is better."""

    what: str
    figure: float | None
    floor: float
    goal: float
    unit: str = ""
    least: bool = True
    note: str = ""

    def reaches(self, bound: float) -> bool:
        assert self.figure is not None
        return self.figure >= bound if self.least else self.figure <= bound

    @property
    def word(self) -> str:
        if self.figure is None:
            return "not measured"
        return "goal" if self.reaches(self.goal) else "floor" if self.reaches(self.floor) else "MISSED"

    def cells(self) -> list[str]:
        sign = "≥" if self.least else "≤"
        shown = "–" if self.figure is None else f"{self.figure:,.2f}" if self.figure < 10 else f"{self.figure:,.0f}"
        bounds = [f"{sign} {bound:g} {self.unit}".rstrip() for bound in (self.floor, self.goal)]
        return [
            self.what,
            f"{shown} {self.unit}".rstrip(),
            *bounds,
            self.word + (f" ({self.note})" if self.note else ""),
        ]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was measured. `parts`: CPU seconds of one MiB of each part; `argon2`: CPU seconds of a hash;
    `memory`, `pressure`: what these modules found; `ledger`: lost share of the rate by `put`, `get`; each may be
    missing. `hashed`: an MD5 was made although the client had sent a checksum of its own."""

    results: Results
    parts: Mapping[str, float] = field(default_factory=dict)
    argon2: float | None = None
    memory: Mapping[str, Any] | None = None
    pressure: Mapping[str, Any] | None = None
    ledger: Mapping[str, float] | None = None
    hashed: bool = True
    ours: str = "andromede"


def ratios(found: Evidence) -> list[Verdict]:
    """Rates over those of the peers that took part; the note has the peer's CPU over ours."""
    lines = []
    for what, (case, theirs, bounds) in RATIOS.items():
        note = "the MD5 was made all the same" if case == BIG_CRC and found.hashed else ""
        for peer, (floor, goal) in bounds.items():
            ratio = found.results.ratio(found.ours, peer, case, "rate", theirs)
            spent = found.results.ratio(found.ours, peer, case, "cpu_us", theirs)
            less = f"CPU {1 / spent:,.1f} ×" if spent else ""
            lines.append(
                Verdict(f"{what}, rate ÷ {peer}", ratio, floor, goal, "×", note="; ".join(filter(None, (less, note))))
            )
    return lines


def shares(found: Evidence) -> list[Verdict]:
    """How much of the processor time a MiB takes is spent on what cannot be spared."""
    lines = []
    for case, names in PARTS.items():
        spent = found.results.median(found.ours, case, "cpu_us")
        figure = None
        if spent and all(name in found.parts for name in names):
            limit = sum(found.parts[name] for name in names) * 1e6 * Case.of(case).size / MIB
            figure = 100 * limit / spent
        note = "the MD5 was made all the same" if case == BIG_CRC and found.hashed else ""
        lines.append(Verdict(f"share of the limit, {case}", figure, *SHARES[case], "%", note=note))
    return lines


def tokens(found: Evidence) -> list[Verdict]:
    """Issue against the hash of its password, validation by itself."""
    issue, cold = (found.results.median(found.ours, case, "cpu_us") for case in (ISSUE, COLD))
    ratio = issue / 1e6 / found.argon2 if issue and found.argon2 else None
    return [
        Verdict("issue of a token, CPU ÷ argon2id", ratio, 1.2, 1.2, "×", least=False),
        Verdict("validation of a fresh token, server CPU over HTTP", cold and cold / 1e3, 1, 1, "ms", least=False),
    ]


def own(found: Evidence) -> list[Verdict]:
    """What needs no peer."""
    median = found.results.median
    lines = [
        Verdict(f"server CPU, {case}", median(found.ours, case, "cpu_us"), *bounds, "µs", least=False)
        for case, bounds in SPENT.items()
    ]
    lines += [
        Verdict(f"p99, {case}", median(found.ours, case, "p99"), *bounds, "ms", least=False)
        for case, bounds in LATENCY.items()
    ]
    memory, pressure, ledger = found.memory, found.pressure, found.ledger or {}
    idle = memory["idle"] / MIB if memory else None
    added = (memory["highest"] - memory["idle"]) / MIB if memory else None
    lines.append(Verdict("memory, whole cloud at rest", idle, 160, 128, "MiB", least=False))
    lines.append(Verdict("memory, 64 uploads of 64 MiB add", added, 192, 96, "MiB", least=False))
    for name in ("put", "get"):
        goal = 10 * pressure["quiet"][name]["p50"] if pressure else 0.0
        p99 = pressure["pressed"][name]["p99"] if pressure else None
        did = pressure is None or all(pressure[key] for key in ("backups", "logs_compacted", "objects_expired"))
        note = "" if did else "not all three worked meanwhile"
        what = f"p99, {name} 4 KiB ×16 under compaction, backup and lifecycle"
        lines.append(Verdict(what, p99, 1000, goal, "ms", least=False, note=note))
    for name, bounds in {"put": (25, 10), "get": (10, 3)}.items():
        lost = 100 * ledger[name] if name in ledger else None
        lines.append(Verdict(f"ledger's cost, {name} 4 KiB ×64, rate lost", lost, *bounds, "%", least=False))
    return lines


def verdicts(found: Evidence) -> list[Verdict]:
    """All lines, in the order of the design."""
    return [*ratios(found), *shares(found), *own(found), *tokens(found)]


def table(lines: Sequence[Verdict]) -> str:
    """A Markdown table; lines without a figure are left out and counted."""
    rows = ["| what | figure | floor | goal | reached |", "|---|---|---|---|---|"]
    rows += ["| " + " | ".join(line.cells()) + " |" for line in lines if line.figure is not None]
    absent = [line.what for line in lines if line.figure is None]
    return "\n".join([*rows, *([f"\nnot measured in this run: {'; '.join(absent)}"] if absent else [])])
