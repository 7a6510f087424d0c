"""Histories of concurrent clients on several workers, held against what a single copy would do.

`python -m tests.campaign.history --minutes 2 --seed 7 [--postgres] [--workers 3] [--kinds objects,facts] [--no-kills]`

Rounds of a few seconds follow each other on one installation: objects through both doors, versions, buckets, facts
that workers keep in memory; objects and versions also while roles are killed. There is one clock, that of the clients'
process. A summary goes to build/campaign/history.json; a history that nothing explains is written beside it, and the
exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.campaign import driver
from tests.campaign.driver import OUT
from tests.campaign.history_kinds import buckets, facts, objects, versions
from tests.campaign.history_models import existence, register, stored, versioned
from tests.campaign.history_round import Client, Round, run
from tests.support import postgres
from tests.support.facts import FACTS, Scene
from tests.support.facts.buckets import SITES
from tests.support.installation import ROOT, Installation, wait_until
from tests.support.processes import processes
from tests.support.workers import workers

SECONDS, FACTS_AT_ONCE = 4.0, 4
ROLES = ("objects", "objects", "objects", "api", "work")
KINDS = {
    "objects": (stored, None),
    "versions": (versioned, ()),
    "buckets": (existence, False),
    "facts": (register, None),
}
SHORT = (("objects", False, 2.5), ("versions", False, 2.0), ("buckets", False, 1.5), ("facts", False, 2.0),
         ("objects", True, 4.0), ("facts", False, 2.0))  # fmt: skip
"""(kind, with kills?, seconds) of the short form that CI runs."""
LEAST = 50
"""Operations without which a round proves nothing."""
CLIENTS: dict[str, Callable[[Round], Sequence[Client]]] = {"objects": objects, "versions": versions, "buckets": buckets}


@dataclass(slots=True)
class Total:
    """What all rounds of one kind came to."""

    rounds: int = 0
    seconds: float = 0.0
    kills: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Campaign:
    """A running installation and what was found on it so far."""

    scene: Scene
    chance: random.Random
    seed: int
    totals: dict[str, Total] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def facts(self, count: int) -> list[str]:
        """The next facts of a shuffled deck of all."""
        if len(self.left) < count:
            deck = sorted(FACTS)
            self.chance.shuffle(deck)
            self.left += deck
        taken, self.left = self.left[:count], self.left[count:]
        return sorted(set(taken))

    def round(self, kind: str, kills: bool, seconds: float = SECONDS, names: Sequence[str] = ()) -> list[str]:
        """One round; what is wrong with it."""
        began = time.monotonic()
        model, initial = KINDS[kind]
        total = self.totals.setdefault(f"{kind} with kills" if kills else kind, Total())
        made = Round(self.scene, self.chance.randrange(1 << 30), model, initial, losing=kills)
        prepare = partial(facts, names or self.facts(FACTS_AT_ONCE)) if kind == "facts" else CLIENTS[kind]
        count = len(self.scene.workers.pids())
        run(made, prepare(made), seconds, partial(self.kill, total, seconds) if kills else None)
        wait_until("all workers", lambda: len(self.scene.workers.pids()) == count)
        wrong = made.verdicts()
        total.rounds += 1
        total.seconds += time.monotonic() - began
        total.counts += made.counts
        total.wrong += wrong
        if wrong:
            self.keep(kind, made, wrong)
        return wrong

    def kill(self, total: Total, seconds: float) -> None:
        """End two processes of a role each with kill -9 while clients are at work."""
        for _ in range(2):
            time.sleep(seconds * (0.15 + 0.25 * self.chance.random()))
            role = self.chance.choice(ROLES)
            found = [pid for pid, kind in processes(self.scene.installation.data).items() if kind == role]
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(found), signal.SIGKILL)
                    total.kills += 1

    def keep(self, kind: str, made: Round, wrong: list[str]) -> None:
        """Write a round that is wrong where it can be read again."""
        OUT.mkdir(parents=True, exist_ok=True)
        lines = [*wrong, ""]
        for thing, history in sorted(made.histories.items()):
            lines += [f"== {thing}", *(str(op) for op in sorted(history, key=lambda op: op.call))]
        (OUT / f"history-wrong-{kind}-{made.seed}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def summary(self, seconds: float) -> dict[str, object]:
        def shown(total: Total) -> dict[str, object]:
            asked = {name: total.counts[name] for name in sorted(total.counts)}
            known = {name: asked.pop(name, 0) for name in ("histories", "configurations", "lost")}
            return {
                "rounds": total.rounds, "seconds": round(total.seconds, 1), "kills": total.kills,
                "operations": sum(asked.values()), **known, "by_kind": asked, "wrong": len(total.wrong),
            }  # fmt: skip

        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        return {
            "seed": self.seed, "commit": commit.stdout.strip(), "seconds": round(seconds, 1),
            "workers": len(self.scene.workers.pids()), "facts": len(FACTS),
            "rounds": {name: shown(total) for name, total in self.totals.items()},
        }  # fmt: skip


@contextlib.contextmanager
def campaign(seed: int, count: int = 3) -> Iterator[Campaign]:
    """A fresh installation with so many workers, on SQLite or where ANDROMEDE_TEST_POSTGRES says."""
    settings: dict[str, object] = {"server__object_workers": count, "objects__website_domains": SITES}
    installation = Installation.fresh(**settings)
    try:
        with installation, workers(installation) as found, contextlib.closing(Scene(installation, found)) as scene:
            yield Campaign(scene, random.Random(seed), seed)
    finally:
        shutil.rmtree(installation.data, ignore_errors=True)


def report(database: str, summary: dict[str, object]) -> Path:
    """Put the summary of one database into the file that holds those of both."""
    path = OUT / "history.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    driver.write(path, {**known, database: summary})
    return path


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own (tools/postgres)")
    parser.add_argument("--short", action="store_true", help="what CI runs: one round of each kind, no summary")
    parser.add_argument("--kinds", default="objects,versions,buckets,facts")
    parser.add_argument("--no-kills", action="store_true", help="no rounds in which roles are killed")
    return parser.parse_args(words)


def plan(choice: argparse.Namespace) -> list[tuple[str, bool]]:
    """(kind, with kills?) in the order in which rounds go round. Facts are many, and come up more often."""
    kinds = choice.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        raise SystemExit(f"no kinds of rounds: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    order = [("objects", False), ("facts", False), ("versions", False), ("facts", False), ("objects", True),
             ("facts", False), ("buckets", False), ("facts", False), ("versions", True), ("facts", False)]  # fmt: skip
    return [(kind, kills) for kind, kills in order if kind in kinds and not (kills and choice.no_kills)]


def rounds(choice: argparse.Namespace) -> Iterator[tuple[str, bool, float]]:
    """(kind, with kills?, seconds) of each round to come, until the time is over."""
    if choice.short:
        yield from SHORT
        return
    end = time.monotonic() + choice.minutes * 60
    for kind, kills in itertools.cycle(plan(choice)):
        if time.monotonic() > end:
            return
        yield kind, kills, SECONDS


def carry_out(found: Campaign, choice: argparse.Namespace) -> int:
    """All rounds; how much is wrong."""
    wrong = 0
    for kind, kills, seconds in rounds(choice):
        said = found.round(kind, kills, seconds)
        wrong += len(said)
        print(f"{kind:9}{'kills' if kills else '':6} {'ok' if not said else 'WRONG'}", flush=True)
        for text in said[:5]:
            print(text, flush=True)
    idle = [name for name, total in found.totals.items() if sum(total.counts.values()) < LEAST * total.rounds]
    if idle:
        print(f"too little was asked to prove anything: {', '.join(idle)}")
    return wrong + len(idle)


def main(words: list[str]) -> int:
    choice = arguments(words)
    if choice.postgres and (code := driver.on_postgres("tests.campaign.history", words)) is not None:
        return code
    database = "postgresql" if os.environ.get(postgres.VARIABLE) else "sqlite"
    began = time.monotonic()
    with campaign(choice.seed, choice.workers) as found:
        wrong = carry_out(found, choice)
        summary = found.summary(time.monotonic() - began)
    print(json.dumps(summary["rounds"], indent=1))
    place = "" if choice.short else f"; summary in {report(database, summary)}"
    print(f"{database}: {sum(total.rounds for total in found.totals.values())} rounds, {wrong} wrong{place}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
