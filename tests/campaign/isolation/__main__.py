"""The long run: `python -m tests.campaign.isolation --cases 200000 --seed 1`, into build/campaign/isolation.json.

Questions of random callers about random buckets, to the evaluator and (one in twenty) to both doors, each compared
with the model; and random changes of the rows of two tenants. What differs is printed whole and ends the run with 1.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from andromede.clock import SystemClock
from andromede.db import Database, open_database
from andromede.engines.memory import MemoryEngine
from tests.campaign import driver
from tests.campaign.isolation import asking, atdoors, rows
from tests.support.clock import FakeClock
from tests.support.house import house
from tests.support.vault import vault

REPORT = driver.OUT / "isolation.json"
AT_DOORS, AT_ROWS = 20, 100
"""One question in so many goes to the doors; one change of rows for so many questions."""
SHOWN = 20


def _quick(dsn: str, stack: ExitStack) -> Database:
    db = open_database(dsn)
    stack.callback(db.close)
    if db.dialect == "sqlite":
        db.one("PRAGMA synchronous = OFF")  # nothing here outlives the run
    return db


def evaluator(cases: int, rng: random.Random, found: list[str]) -> dict[str, int]:
    """Questions to the evaluator until there were so many."""
    asked = yes = worlds = 0
    while asked < cases:
        count, allowed, more = asking.differences(rng)
        asked, yes, worlds = asked + count, yes + allowed, worlds + bool(count)
        found += more
    return {"questions": asked, "allowed": yes, "worlds": worlds}


def doors(cases: int, rng: random.Random, found: list[str]) -> dict[str, int]:
    """The same at the doors of two workers."""
    asked = yes = worlds = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isolation-")))
        databases = [_quick(f"sqlite:///{folder}/doors.db", stack) for _ in range(2)]
        stage = atdoors.Stage(stack.enter_context(house(databases, folder)))
        while asked < cases:
            count, allowed, more = atdoors.differences(stage, rng)
            asked, yes, worlds = asked + count, yes + allowed, worlds + bool(count)
            found += more
    return {"questions": asked, "allowed": yes, "worlds": worlds}


def moved(cases: int, rng: random.Random, found: list[str]) -> dict[str, int]:
    """Changes of the rows of two tenants."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isolation-")))
        db = _quick(f"sqlite:///{folder}/rows.db", stack)
        made = rows.Rows(stack.enter_context(vault(db, MemoryEngine(), folder, FakeClock())))
        for _ in range(cases):
            found += rows.offences(made, rng)
    return {"changes": cases}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.isolation", description=__doc__)
    parser.add_argument("--cases", type=int, default=200_000, help="questions to the evaluator (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (default: %(default)s)")
    args = parser.parse_args()
    clock, found = SystemClock(), list[str]()
    report: dict[str, object] = {"cases": args.cases, "seed": args.seed, "python": platform.python_version()}
    parts = (("evaluator", evaluator, 1), ("doors", doors, AT_DOORS), ("rows", moved, AT_ROWS))
    for number, (name, part, share) in enumerate(parts):
        begun = clock.monotonic()
        counts = part(max(1, args.cases // share), random.Random(args.seed * 10 + number), found)
        report[name] = {**counts, "seconds": round(clock.monotonic() - begun, 1)}
        print(name, report[name], flush=True)
    report["differences"] = len(found)
    driver.write(REPORT, report)
    print("\n".join(found[:SHOWN]), f"{len(found)} differences; {REPORT}", sep="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
