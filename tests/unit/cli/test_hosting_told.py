"""How the board of `up` and `status` tell of hosting."""

from __future__ import annotations

import re

import pytest

from andromede.app.hosting import health, migrations
from andromede.cli import board, status
from andromede.config import Config, Hosting
from andromede.db import Database
from andromede.ops import hosting
from andromede.ops.hosting import Able
from andromede.ops.machine import Accelerated
from andromede.work import lifecycle_store
from tests.support.clock import FakeClock
from tests.unit.work.toy import Shop


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "as before"),
        ({"enabled": False, "why": "hosting.enabled = off", "mend": ""}, "off: hosting.enabled = off"),
        ({"enabled": False, "why": "no nft", "mend": "apt-get x"}, "off: no nft; mend it with: apt-get x"),
        ({"enabled": True, "accelerator": "kvm", "why": "a guest ran"}, "on, guests run with KVM (a guest ran)"),
        ({"enabled": True, "accelerator": "tcg", "why": "no KVM"}, "on, guests run in software emulation (no KVM)"),
        ({"enabled": True, "accelerator": "none", "why": "no KVM"}, "on, but no guest runs: no KVM"),
    ],
)
def test_the_board_has_a_line(found: dict[str, object] | None, text: str) -> None:
    assert board.hosting(found) == text


def test_the_board_knows_why(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    def told(enabled: str) -> tuple[bool, object, str, str]:
        found = health.board(Config(Path("data"), hosting=Hosting(enabled=enabled)))
        return found["enabled"], found["accelerator"], found["why"], found["mend"]

    monkeypatch.setattr(health, "accelerated", lambda config: Accelerated("tcg", "no KVM", 128))
    assert told("on") == (True, "tcg", "no KVM", "")
    monkeypatch.setattr(health, "accelerated", lambda config: Accelerated("none", "", error="demanded"))
    assert told("on") == (True, "none", "demanded", "")
    monkeypatch.setattr(hosting, "able", lambda: Able(("tun",), "modprobe tun"))
    assert told("off") == (False, None, "this machine lacks tun", "modprobe tun")
    monkeypatch.setattr(hosting, "able", lambda: Able())
    assert told("off")[2] == "hosting.enabled = off"


def test_status_tells_of_every_table_that_a_worker_works_on() -> None:
    schema = "".join(step.sql for step in migrations())
    tables = dict(re.findall(r"CREATE TABLE (\w+) \(([^;]*);", schema))
    assert {name for name, columns in tables.items() if "lease_us" in columns} == set(health.COUNTED.values())


def test_status_counts_and_names_what_does_not_get_on(
    db: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(db, clock)
    monkeypatch.setattr(health, "COUNTED", {"things": "thing"})
    assert health.state(db, clock.us) == {"counts": {"things": {}}, "stuck": []}
    assert status._hosting(health.state(db, clock.us)) == [("hosting", "no resources")]
    for n, state in enumerate(("ready", "ready", "making")):
        shop.add(f"t{n}", state, due_us=None)
    shop.add("late")
    shop.add("tried", tries=3, fault="no hypervisor")
    shop.add("fresh", due_us=clock.us + 100_000_000)
    clock.advance(100)
    found = health.state(db, clock.us)
    assert found["counts"] == {"things": {"making": 4, "ready": 2}}
    assert [row["id"] for row in found["stuck"]] == ["late", "tried"]
    assert lifecycle_store.stuck(db, "thing", clock.us, 1)[0]["seconds"] == 100
    lines = status._hosting(found)
    assert lines[0] == ("hosting", "things 4 making, 2 ready")
    assert lines[2] == ("stuck", "things tried is making for 1 min after 3 failures: no hypervisor")
    assert status._hosting(None) == [] and status._hosting({"counts": {}, "stuck": []}) == []
