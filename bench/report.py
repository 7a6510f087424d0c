"""What the bench prints and keeps: a line while it runs, Markdown tables, and a JSON file with every figure."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import Case, Line, Results
from bench.peers import Peer
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


def table(results: Results, names: list[str]) -> None:
    """All cases: figures of each system, then this program's ratios to each peer, of the rate and of CPU."""
    ours, rivals = names[0], names[1:]
    print("\nEach cell: operations/s or MB/s; p50/p99 in ms; server CPU in µs an operation or ms a MiB")
    print("\n| case | " + " | ".join([*names, *(f"rate ÷ {name}; CPU {name} ÷ ours" for name in rivals)]) + " |")
    print("|" + "---|" * (1 + len(names) + len(rivals)))
    for case in results.cases:
        cells = [cell(results, name, case) for name in names]
        for name in rivals:
            less = results.ratio(ours, name, case, "cpu_us")
            cells.append(f"{figure(results.ratio(ours, name, case, 'rate'))}; {figure(1 / less if less else None)}")
        print(f"| {case} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nfailed requests: {results.failures}")


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
        "python": platform.python_version(),
        "load": Path("/proc/loadavg").read_text().split()[0],
    }


def save(results: Results, peers: Mapping[str, Peer], more: Mapping[str, Any] = {}) -> Path:
    """Everything in one JSON file under build/bench; its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / time.strftime("%Y%m%d-%H%M%S.json")
    versions = {name: {"version": peer.version, "durability": peer.durability} for name, peer in peers.items()}
    whole = {"machine": machine(), "systems": versions, "lines": list(results.lines), **more}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print(f"\n{path.relative_to(ROOT)}: every figure of this run")
    return path
