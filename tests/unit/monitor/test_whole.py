"""L10 and what else only shows to who follows every log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from andromede.audit import Draft
from andromede.errors import Fatal
from andromede.sovereignty.monitor.monitor import Options, Round
from andromede.sovereignty.monitor.sources import Spans
from andromede.sovereignty.monitor.whole import Whole
from andromede.sovereignty.roots import MonthlyRoots
from tests.support.clock import FakeIds
from tests.support.monitoring import InProcess, Tenant, nobody
from tests.support.tenantlog import TenantLog


class Auditor:
    """Follows every log, started anew each time."""

    def __init__(self, log: TenantLog, folder: Path) -> None:
        self.wire, self.folder, self.log = InProcess(log, "ivo"), folder, log

    def round(self) -> Round:
        with Whole(self.wire, self.folder, self.log.clock, Options(ask=nobody)) as whole:
            return whole.round()

    def kinds(self) -> tuple[int, set[str]]:
        found = self.round()
        return found.code, {one.kind for one in found.findings} - {"pinned", "unwitnessed"}


@pytest.fixture
def auditor(tenant: Tenant, tmp_path: Path) -> Auditor:
    return Auditor(tenant.log, tmp_path / "auditor")


def settle(auditor: Auditor) -> tuple[int, set[str]]:
    """What two rounds more than a minute apart find."""
    auditor.log.sequence()
    auditor.kinds()
    auditor.log.clock.advance(61)
    auditor.log.sequence()
    return auditor.kinds()


def test_every_number_of_every_source_is_there(auditor: Auditor) -> None:
    log = auditor.log
    log.record(300, tenant=log.other)
    log.record(20)
    assert settle(auditor) == (0, set())
    found = auditor.round()
    assert found.facts["origin"] == f"{len(log.logs.all())} logs"
    assert found.facts["sources"][log.recorder.source] >= 330


def test_l10_an_event_dropped_before_logging_leaves_a_gap(auditor: Auditor, tenant: Tenant) -> None:
    """The number was taken, the event never got a place: its tenant's log is in order, the numbering is not."""
    log = auditor.log
    log.record(3)
    with log.db.write() as tx:
        dropped = tx.take("audit/" + log.recorder.source)
    log.record(3)
    log.sequence()
    assert tenant.kinds() == (0, set())
    assert auditor.kinds() == (0, set())  # it may be in a log that is a checkpoint behind
    log.clock.advance(61)
    log.sequence()
    found = auditor.round()
    gaps = [one for one in found.findings if one.kind == "number-missing"]
    assert (found.code, [one.about for one in gaps]) == (1, [f"{log.recorder.source} {dropped} {dropped}"])
    assert Path(gaps[0].file).stat().st_mode & 0o777 == 0o600


def test_a_gap_may_be_an_entry_without_content(auditor: Auditor) -> None:
    log = auditor.log
    assert log.call("DELETE", "/events/3", "max").status == 204
    assert settle(auditor) == (3, {"number-missing"})
    assert "up to 1 entries without content" in auditor.round().findings[-1].text


def test_a_log_that_is_just_born(auditor: Auditor) -> None:
    auditor.kinds()
    auditor.log.record(1, tenant="newcomer")
    assert auditor.kinds() == (0, set())
    auditor.log.clock.advance(61)
    assert "absent" in auditor.kinds()[1]
    auditor.log.sequence()
    assert auditor.kinds() == (0, set())


def test_a_log_that_is_no_longer_listed(auditor: Auditor) -> None:
    log = auditor.log
    log.record(2, tenant=log.other)
    log.sequence()
    assert auditor.kinds()[0] == 0
    origin = log.state(log.other).origin.encode()

    def without(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not path.startswith("/v1/logs?"):
            return status, body
        found = json.loads(body)
        return status, json.dumps({"logs": [one for one in found["logs"] if one["origin"].encode() != origin]}).encode()

    auditor.wire.tamper = without
    assert auditor.kinds() == (1, {"log-gone"})


def test_monthly_roots_agree_with_the_copies(auditor: Auditor) -> None:
    log = auditor.log
    roots = MonthlyRoots(log.db, log.logs, log.recorder, log.clock, FakeIds())
    roots.turn()
    assert settle(auditor) == (0, set())
    origin = log.state().origin
    lie = Draft("", "source:work", "ledger.root", "roots:x", "req-1", detail={origin: f"3 {'A' * 43}=", "b": 1})
    with log.db.write() as tx:
        log.recorder.record(tx, [lie])
    log.sequence()
    auditor.round()
    (found,) = [one for one in auditor.round().findings if one.kind == "monthly-root"]
    assert (found.grade, found.about) == ("contradiction", f"{origin} 3")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"logs": [1]}', b'{"logs": [{"origin": "x"}]}', b'{"logs": [{}]}'])
def test_a_list_of_logs_that_is_none(auditor: Auditor, body: bytes) -> None:
    auditor.wire.tamper = lambda path, status, good: (status, body if path.startswith("/v1/logs?") else good)
    assert auditor.kinds() == (3, {"silent"})


def test_a_memory_that_cannot_be_read(auditor: Auditor) -> None:
    auditor.round()
    (auditor.folder / "whole.json").write_text("[1")
    with pytest.raises(Fatal, match="begin anew"):
        auditor.round()


def test_spans_join() -> None:
    spans = Spans({})
    for seq in (5, 1, 3, 9, 2, 4, 4, 10):
        spans.add("s", seq)
    assert spans.kept == {"s": [[1, 5], [9, 10]]}
    assert list(spans.gaps("s")) == [(6, 8)]
    assert [spans.add("s", seq) for seq in (7, 7, 6, 8)] == [True, False, True, True]
    assert spans.kept == {"s": [[1, 10]]}
