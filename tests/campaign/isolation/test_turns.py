"""What was allowed is denied right after its rule was withdrawn, and what was denied is allowed right after it was
given: in every worker, whatever it has in memory."""

from __future__ import annotations

import pytest

from tests.campaign.isolation import turns_identity as turns_identity  # declares its rules
from tests.campaign.isolation.turns import RULES, Probe, Scene
from tests.support.house import House

REFUSED = {401, 403, 404}


def asked(house: House, probes: list[Probe]) -> list[list[int]]:
    """The statuses of every probe at every worker, twice: from the database, then from memory."""
    return [[probe(worker) for worker in range(len(house.workers)) for _ in range(2)] for probe in probes]


@pytest.mark.parametrize("name", RULES)
def test_no_rule_outlives_its_end(pair: House, name: str) -> None:
    give, take, probes = RULES[name](Scene.of(pair))
    for turn in range(2):
        give()
        found = asked(pair, probes)
        assert all(status < 300 for statuses in found for status in statuses), f"turn {turn}: given, but {found}"
        take()
        found = asked(pair, probes)
        assert all(status in REFUSED for statuses in found for status in statuses), f"turn {turn}: taken, but {found}"
