"""What the bench prints and keeps: a line while it runs, Markdown tables, and a JSON file with every figure."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figures import Case, Line, Results
from bench.floors import Verdict
from bench.load import Rig
from tests.support.installation import ROOT

FOLDER = ROOT / "build" / "bench"


def progress(line: Line) -> str:
    """One line while the bench runs."""
    why = f"  FAILED {line['failures']}: {line.get('why', '')}" if line["failures"] else ""
    rate = f"{line['rate']:>9,.0f}  p50 {line['p50']:.1f} ms  p99 {line['p99']:.1f} ms"
    return f"{line['round']} {line['case']:18} {line['peer']:10} {rate}{why}"


def figure(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(results: Results, peer: str, case: str) -> str:
    """`rate; p50/p99; CPU`: CPU in µs an operation, in ms a MiB where the rate is in MB/s."""
    rate = results.median(peer, case, "rate")
    if rate is None:
        return "–"
    parsed, spent = Case.of(case), results.median(peer, case, "cpu_us") or 0.0
    spent = spent / 1e3 / (parsed.size / (1 << 20)) if parsed.large else spent
    times = "/".join(figure(results.median(peer, case, key)) for key in ("p50", "p99"))
    return f"{figure(rate)}; {times}; {figure(spent)}"


def grid(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def table(results: Results, names: list[str]) -> str:
    """The figures of each system, case by case."""
    return grid(["case", *names], [[case, *(cell(results, name, case) for name in names)] for case in results.cases])


def ratios(results: Results, names: list[str]) -> str:
    """This program beside each peer: its rate over the peer's, and the peer's CPU over its own."""
    ours, rows = names[0], []
    for case in results.cases:
        cells = []
        for name in names[1:]:
            less = results.ratio(ours, name, case, "cpu_us")
            pair = (results.ratio(ours, name, case, "rate"), 1 / less if less else None)
            cells.append("–" if pair[0] is None else "; ".join(map(figure, pair)))
        rows.append([case, *cells])
    return grid(["case", *names[1:]], rows)


def system(rig: Rig) -> dict[str, Any]:
    """Who took part, and how."""
    peer = rig.peer
    return {"name": peer.name, "version": peer.version, "durability": peer.durability, "rest": rig.idle}


def systems(found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{one['name']}: {one['version']}; {one['durability']}; at rest {one['rest']:.1%} of a core" for one in found
    ]


def limit_lines(found: Mapping[str, Mapping[str, float]]) -> str:
    """The machine's limits: wall time and CPU of one processor."""
    walls, spent = found["wall_seconds"], found["cpu_seconds"]
    single = {
        "flush": "durable write of 4 KiB (fdatasync)",
        "interpreter": "a thousand rounds of this Python (objects, texts, look-ups)",
    }
    rows = [[what, f"{walls[name] * 1e6:,.0f} µs", f"{spent[name] * 1e6:,.0f} µs"] for name, what in single.items()]
    for name in [name for name in walls if name not in single]:
        rate = 1.048576 / walls[name]
        rows.append([name.replace("_", " "), f"{rate:,.0f} MB/s", f"{spent[name] * 1e3:.3f} ms/MiB"])
    for name, seconds in found["password_hashes_cpu_seconds"].items():
        rows.append([f"password hash, {name}", "", f"{seconds * 1e3:,.1f} ms"])
    return grid(["limit", "one thread", "CPU"], rows)


def whole(
    results: Results, names: list[str], limits: Mapping[str, Mapping[str, float]], floors: str, parts: list[str]
) -> str:
    """Everything that a run prints at its end."""
    sections = ["\n".join(parts)]
    sections += ["Each cell: operations/s or MB/s; p50/p99 in ms; server CPU in µs an operation or ms a MiB."]
    sections += [table(results, names)]
    if names[1:]:
        sections += [
            "Rate ÷ the peer's; CPU of the peer ÷ ours. Medians of the rounds' own ratios.",
            ratios(results, names),
        ]
    return "\n\n".join(["", *sections, f"failed requests: {results.failures}", limit_lines(limits), floors])


def judged(verdict: Verdict) -> dict[str, Any]:
    return {**asdict(verdict), "reached": verdict.word}


def machine() -> dict[str, Any]:
    """Where and on what the bench ran."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    git = ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": commit or "unknown",
        "command": " ".join(["python -m bench", *sys.argv[1:]]),
        "processors": sum(line.startswith("processor") for line in lines),
        "model": model,
        "kernel": platform.release(),
        "python": f"{platform.python_version()}, {platform.python_compiler()}, {sys.base_prefix}",
        "load": Path("/proc/loadavg").read_text().split()[0],
    }


def save(document: Mapping[str, Any]) -> Path:
    """Everything in one JSON file under build/bench; its path from the root of the project."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / time.strftime("%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return path.relative_to(ROOT)
