"""What one worker or the API port changed, every worker knows at once: caches are as true as the database."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import pytest

from tests.support.facts import FACTS, Fact, Scene
from tests.support.facts.buckets import SITES
from tests.support.installation import Installation
from tests.support.workers import Line, workers

WORKERS = 3
WARM = 3
"""Looks before each change: a fact may be kept at the first, the second, or when it has been used for a while."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    installation = Installation.fresh(server__object_workers=WORKERS, objects__website_domains=SITES)
    with installation, workers(installation) as found, contextlib.closing(Scene(installation, found)) as made:
        assert len(found.each()) == WORKERS
        yield made
    shutil.rmtree(installation.data, ignore_errors=True)


def hold(fact: Fact, lines: list[Line], turn: int) -> None:
    """Make each change through one line and look through all, the changing one last, then first."""
    for number, (change, wanted) in enumerate(fact.steps):
        for line in lines * WARM:
            fact.probe(line)
        place = (turn + number) % len(lines)
        change(lines[place])
        others = lines[place + 1 :] + lines[:place]
        seen = [fact.probe(line) for line in (*others, lines[place], *others)]
        assert seen == [wanted] * len(seen), f"change {number} through worker {place}"


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_change_is_seen_by_every_worker_at_once(name: str, scene: Scene) -> None:
    lines = scene.workers.each()
    fact = FACTS[name](scene, lines[0])
    for turn in range(2 if fact.again else 1):
        hold(fact, lines, turn)
