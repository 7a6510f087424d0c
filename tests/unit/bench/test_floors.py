"""A figure is held against the right bound, in the right direction, and is not judged without having been measured."""

from __future__ import annotations

import pytest

from bench.figures import Results
from bench.floors import BIG_CRC, BIG_PUT, PARTS, RATIOS, Evidence, Verdict, table, verdicts

MIB = 1 << 20


def line(peer: str, case: str, rate: float, cpu: float = 100.0, p99: float = 1.0) -> dict[str, object]:
    return {"peer": peer, "case": case, "round": 0, "rate": rate, "cpu_us": cpu, "p50": 1.0, "p99": p99, "failures": 0}


@pytest.mark.parametrize(
    ("figure", "least", "word"),
    [
        *((9.9, True, "MISSED"), (10, True, "floor"), (25, True, "goal"), (None, True, "not measured")),
        *((25.1, False, "MISSED"), (25, False, "floor"), (10, False, "goal")),
    ],
)
def test_floor_and_goal(figure: float | None, least: bool, word: str) -> None:
    floor, goal = (10, 25) if least else (25, 10)
    assert Verdict("x", figure, floor, goal, least=least).word == word


def by_name(found: Evidence) -> dict[str, Verdict]:
    return {one.what: one for one in verdicts(found)}


def test_without_a_measurement_nothing_is_judged() -> None:
    found = verdicts(Evidence(Results([])))
    assert {one.word for one in found} == {"not measured"}
    assert len({one.what for one in found}) == len(found)
    assert table(found).count("\n| ") == 0


def test_ratios_to_peers_use_the_rate() -> None:
    lines = [line("andromede", "put:4KiB:64", 5000), line("swift", "put:4KiB:64", 100), line("rgw", "put:4KiB:64", 600)]
    found = by_name(Evidence(Results(lines)))
    assert found["PUT 4 KiB ×64, rate ÷ swift"].word == "floor"
    assert found["PUT 4 KiB ×64, rate ÷ rgw"].word == "MISSED"
    assert found["PUT 4 KiB ×64, rate ÷ nginx"].word == "not measured"


def test_a_put_without_md5_stands_beside_the_peers_usual_put() -> None:
    lines = [line("andromede", BIG_CRC, 900), line("andromede", BIG_PUT, 1), line("nginx", BIG_PUT, 300)]
    found = by_name(Evidence(Results(lines), hashed=True))["PUT 64 MiB ×4 without MD5, rate ÷ nginx"]
    assert (found.figure, found.word, found.note) == (3.0, "goal", "CPU 1.0 ×; the MD5 was made all the same")
    assert by_name(Evidence(Results(lines), hashed=False))[found.what].note == "CPU 1.0 ×"


def test_the_share_of_the_limit_is_that_of_processor_time() -> None:
    parts = dict.fromkeys({name for names in PARTS.values() for name in names}, 0.0005)
    spent = 64 * 4 * 0.0005 * 2 * 1e6  # four parts at half a millisecond a MiB, and as much again
    found = by_name(Evidence(Results([line("andromede", BIG_PUT, 1, cpu=spent)]), parts))
    assert found["share of the limit, put:64MiB:4"].figure == pytest.approx(50)
    assert found["share of the limit, put:64MiB:4"].word == "MISSED"
    assert found["share of the limit, get:64MiB:4"].word == "not measured"


def test_what_is_measured_alone() -> None:
    memory = {"idle": 150 * MIB, "highest": 240 * MIB}
    quiet = {"put": {"p50": 5.0}, "get": {"p50": 2.0}}
    pressed = {"put": {"p99": 49.0}, "get": {"p99": 30.0}}
    pressure = {"quiet": quiet, "pressed": pressed, "backups": 2, "logs_compacted": 3, "objects_expired": 0}
    lines = [line("andromede", "issue:1:1", 40, cpu=22_000), line("andromede", "put:4KiB:16", 9, p99=14)]
    ledger = {"put": -0.02, "get": 0.2}
    found = by_name(Evidence(Results(lines), {}, 0.02, memory, pressure, ledger))
    assert found["memory, whole cloud at rest"].word == "floor"
    assert found["memory, 64 uploads of 64 MiB add"].word == "goal"
    assert found["issue of a token, CPU ÷ argon2id"].figure == pytest.approx(1.1)
    assert found["p99, put:4KiB:16"].word == "floor"
    under = "p99, {} 4 KiB ×16 under compaction, backup and lifecycle"
    assert (found[under.format("put")].word, found[under.format("get")].word) == ("goal", "floor")
    assert found[under.format("put")].note == "not all three worked meanwhile"
    lost = "ledger's cost, {} 4 KiB ×64, rate lost"
    assert (found[lost.format("put")].word, found[lost.format("get")].word) == ("goal", "MISSED")
    text = table(list(found.values()))
    assert "| MISSED |" in text and "not measured in this run: " in text


def test_every_goal_is_beyond_its_floor() -> None:
    bounds = [pair for _, _, peers in RATIOS.values() for pair in peers.values()]
    assert bounds and all(floor <= goal for floor, goal in bounds)
