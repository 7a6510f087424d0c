"""What an operator is told about witnesses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.sovereignty import policies
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_circle import Circle, tenant_url
from andromede.sovereignty.witness_status import circle_of, freshness, overview
from tests.support.clock import FakeClock
from tests.support.ledger import origin_of, write_events
from tests.support.witnesses import HttpWitness, Operator


@pytest.fixture
def operator(db: Database, tmp_path: Path, clock: FakeClock) -> Operator:
    return Operator(db, tmp_path, clock)


@pytest.fixture
def pair(operator: Operator, tmp_path: Path) -> Iterator[list[HttpWitness]]:
    made = [HttpWitness(tmp_path, name, operator.bench.logs.verifiers("any"), operator.clock) for name in ("w1", "w2")]
    yield made
    for one in made:
        one.close()


def test_nobody_is_said_plainly(operator: Operator) -> None:
    write_events(operator.db, "", 1)
    operator.turn()
    found = overview(operator.db, operator.clock.now_us(), False)
    assert (found["logs"], found["witnessed"], found["asked"]) == (1, 0, [])
    assert "unwitnessed" in found["text"] and "andromede witness trust" in found["text"]


def test_who_cosigned_and_how_long_ago(operator: Operator, pair: list[HttpWitness]) -> None:
    operator.trust(*pair, quorum="all")
    write_events(operator.db, "", 1)
    write_events(operator.db, "p1", 1)
    operator.turn()
    operator.clock.advance(90)
    found = overview(operator.db, operator.clock.now_us(), False)
    assert (found["logs"], found["witnessed"], found["quorum"], found["oldest_seconds"]) == (2, 2, 2, 90)
    assert [(row["name"], row["run_by"], row["logs"], row["age_seconds"]) for row in found["asked"]] == [
        ("w1", "a friend", 2, 90), ("w2", "a friend", 2, 90),
    ]  # fmt: skip
    assert "2 of 2 logs witnessed within 24 h" in found["text"] and "run by a friend" in found["text"]
    pair[1].close()
    operator.clock.advance(23.99 * 3600)
    operator.settings["call_seconds"] = 0.5
    write_events(operator.db, "", 1)
    operator.start()
    for _ in range(4):
        operator.turn()
    found = overview(operator.db, operator.clock.now_us(), False)
    assert (found["witnessed"], found["quorum"]) == (2, 0)
    assert "below the quorum" in found["text"] and "does not answer" in found["text"]
    operator.clock.advance(25 * 3600)
    found = overview(operator.db, operator.clock.now_us(), False)
    assert found["witnessed"] == 0 and "2 UNWITNESSED" in found["text"]


def test_each_log_by_itself(operator: Operator, pair: list[HttpWitness]) -> None:
    operator.settings["private"] = True
    operator.start()
    operator.trust(pair[0])
    operator.trust(pair[1], tenant="p1")
    for tenant in ("", "p1"):
        write_events(operator.db, tenant, 1)
    operator.turn()
    with operator.db.write() as tx:
        store.put_halt(tx, origin_of("p1"), "http://x", "it was rolled back", "", 1)
    states = freshness(operator.db, operator.clock.now_us(), circle_of(operator.db, True))
    assert [(one.origin, one.by, one.quorum, one.witnessed, one.halted) for one in states] == [
        (origin_of(""), ("w1",), True, True, ""),
        (origin_of("p1"), ("w2",), True, True, "it was rolled back"),
    ]
    said = overview(operator.db, operator.clock.now_us(), True)["text"]
    assert "NOT SIGNED ANY MORE" in said and "andromede witness resume" in said


def test_tenants_may_name_public_witnesses_and_those_of_the_operator(
    operator: Operator, pair: list[HttpWitness], clock: FakeClock
) -> None:
    check = tenant_url(operator.db, private=False)
    for url in (pair[0].url, "https://10.0.0.1/w"):
        with pytest.raises(Exception, match=r"must begin with https|not a public"):
            check(url)
    operator.trust(pair[0])
    check(pair[0].url + "/")
    check("https://witness.example/w")
    tenant_url(operator.db, private=True)(pair[1].url)
    operator.trust(pair[1], tenant="p1")
    circle = Circle(operator.db, clock, private=False)
    circle.load()
    assert circle.members("p1") == () and len(circle.members("p2")) == 1
    with operator.db.write() as tx:
        tx.run("UPDATE ledger_policy SET body = ? WHERE tenant = ?", ("nonsense", "p1"))
    circle.load()
    assert circle.members("p1") == () and circle.policy("p1").quorum == "none"
    assert policies.NOBODY == "quorum none\n"
