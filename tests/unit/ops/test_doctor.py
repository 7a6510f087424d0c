"""Findings and the redacted bundle."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.config import Config, Server, Storage
from andromede.errors import Invalid, NotFound
from andromede.ops import access, doctor, layout, listeners, support
from andromede.ops.doctor import Patient
from andromede.ops.layout import Layout
from andromede.web.access import AccessTable, Grant
from andromede.web.actor import Actor
from tests.support.clock import FakeClock, FakeIds

CANARY = "canary-7b21"


@pytest.fixture
def patient(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> Iterator[Patient]:
    place = Layout(tmp_path / "data")
    layout.prepare(place, clock, ids)
    server = Server(listen="127.0.0.1:0", objects="127.0.0.1:0")
    yield Patient(place, Config(place.data, server=server), clock)


def of(found: list[doctor.Finding], check: str) -> list[doctor.Finding]:
    return [finding for finding in found if finding.check == check]


def test_a_sound_installation_has_no_errors(patient: Patient) -> None:
    found = doctor.examine(patient)
    assert [finding for finding in found if finding.level == "error"] == []
    assert {finding.check for finding in found} >= {"python", "disk", "fsync", "modes", "ports", "clock", "database"}


def test_each_fault_is_found_with_what_mends_it(patient: Patient, clock: FakeClock) -> None:
    patient.place.keys.mkdir(mode=0o700)
    (patient.place.keys / "root.json").write_text("{}")
    os.chmod(patient.place.keys / "root.json", 0o644)
    busy = listeners.bind("127.0.0.1:0")[0]
    server = Server(listen=f"127.0.0.1:{busy.getsockname()[1]}", objects="127.0.0.1:0")
    clock.us = 0
    sick = Patient(patient.place, Config(patient.place.data, server=server, storage=Storage(database="x://")), clock)
    found = doctor.examine(sick)
    busy.close()
    wrong = {finding.check: finding for finding in found if finding.level == "error"}
    assert set(wrong) == {"modes", "ledger", "ports", "clock", "database"}
    assert "chmod go-rwx" in wrong["modes"].mend
    assert wrong["ports"].mend.startswith("ss -ltnp")
    assert all(finding.mend for finding in wrong.values())


def test_an_expiring_certificate_is_found(patient: Patient, clock: FakeClock, ids: FakeIds) -> None:
    from andromede.ops import tls

    tls.ensure(patient.place, ["127.0.0.1"], clock, ids)
    assert of(doctor.examine(patient), "tls")[0].level == "ok"
    clock.advance((tls.LEAF_DAYS - 15) * 86400)
    assert of(doctor.examine(patient), "tls")[0].level == "warning"
    clock.advance(30 * 86400)
    assert of(doctor.examine(patient), "tls")[0].level == "error"


def test_the_bundle_holds_nothing_of_tenants(patient: Patient, tmp_path: Path) -> None:
    place = patient.place
    place.clouds.write_text(f"password: {CANARY}")
    place.s3_env.write_text(f"AWS_SECRET_ACCESS_KEY={CANARY}")
    trace = f'Traceback\n  File "a.py", line 1, in f\n{CANARY}'
    lines = [
        json.dumps({"ts": "t", "event": "object.damage", "key": CANARY, "reason": CANARY, "request_id": "req-1"}),
        f"plain text {CANARY}",
        "ValueError: " + CANARY,
        json.dumps({"event": "request failed", "error": CANARY, "trace": trace}),
        json.dumps([CANARY]),
    ]
    place.log.write_text("\n".join(lines) + "\n")
    config = Config(place.data, storage=Storage(database=f"postgresql://u:{CANARY}@h/d"))
    target = tmp_path / "bundle.tar.gz"
    names = support.write(place, config, {"running": False}, [], patient.clock, target)
    assert target.stat().st_mode & 0o077 == 0
    with tarfile.open(target) as archive:
        members = {entry.name: archive.extractfile(entry).read().decode() for entry in archive if entry.isfile()}  # type: ignore[union-attr]
    assert len(members) == len(names)
    assert CANARY not in "".join(members.values())
    log = members["andromede-support/log.jsonl"]
    assert "req-1" in log
    assert "object.damage" in log
    assert "line 1, in f" in log


TABLE = AccessTable({"x:read": (Grant("project", "reader"),), "x:all": (Grant("cloud", "admin"),), "x:none": ()})


def test_access_is_explained_scope_by_scope() -> None:
    demo = Actor("u", "demo", "default", frozenset({"reader"}), "p1")
    scopes = [("project one", demo)]
    assert access.explain(TABLE, "demo", scopes, "x:read", "")["allowed"] is True
    assert access.explain(TABLE, "demo", scopes, "x:read", "project:p1")["allowed"] is True
    other = access.explain(TABLE, "demo", scopes, "x:read", "project:p2")
    assert other["allowed"] is False
    assert other["because"] == ["in project one: no (roles reader)"]
    assert access.explain(TABLE, "demo", [], "x:all", "")["because"] == ["the user holds no role anywhere"]
    with pytest.raises(NotFound, match="x:read"):
        access.explain(TABLE, "demo", scopes, "y:read", "")
    with pytest.raises(Invalid, match="project:ID"):
        access.explain(TABLE, "demo", scopes, "x:read", "planet:9")
