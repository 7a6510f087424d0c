"""Killed at any step, the sequencer goes on where it was: nothing acknowledged is lost, nothing signed is undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from andromede.clock import SystemClock
from andromede.db import Database
from andromede.ledger import tree
from andromede.ledger.note import checkpoint_fields, open_note
from andromede.ledger.receipt import entry_of
from andromede.ledger.tree import leaf_hash
from andromede.sovereignty.check import check
from tests.support import postgres
from tests.support.ledger import Bench, body_of, origin_of, salt_of
from tests.support.sequencer_crasher import STEPS, TENANTS

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3


def crash(dsn: str, folder: Path, step: str, seed: int) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.support.sequencer_crasher", dsn, str(folder), step, "5", str(seed)]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=100)
    assert ended.returncode == -9, ended.stderr.decode()


@pytest.mark.parametrize("step", STEPS)
def test_L2_killed_at_any_step_the_ledger_keeps_its_word(db: Database, tmp_path: Path, step: str) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    dsn = postgres.address(f"test_{worker}") or f"sqlite:///{tmp_path}/test.db"
    bench = Bench.open(db, SystemClock(), tmp_path)
    for seed in range(ROUNDS):
        crash(dsn, tmp_path, step, seed)
    with db.write() as tx:
        tx.run("UPDATE lease SET until = 0")
    sequencer = bench.sequencer()
    while sequencer.turn():
        pass
    acknowledged = [line.split() for line in (tmp_path / "acknowledged").read_text().splitlines()]
    assert acknowledged
    for tenant in TENANTS:
        origin, log = origin_of(tenant), bench.logs.log(tenant)
        assert log is not None and log.size == log.allocated
        entries = [entry_of(salt_of(tenant, at), body_of(tenant, at)) for at in range(log.size)]
        read = bench.logs.hashes(origin)
        assert list(read(0, 0, log.size)) == [leaf_hash(entry) for entry in entries]
        assert bench.signed(tenant) == (log.size, tree.subtree(read, 0, log.size))
        own = [int(at) for name, at in acknowledged if name == (tenant or "-")]
        assert own and max(own) < log.size
        notes = [json.loads(line) for line in (tmp_path / "signed").read_text().splitlines()]
        for note in (note for note in notes if note.startswith(origin + "\n")):
            text, _ = open_note(note, bench.keys.verifiers(origin))
            _, size, root = checkpoint_fields(text)
            assert root == tree.subtree(read, 0, size), f"{origin} signed another history at {size}"
    assert bench.alerts.getvalue() == ""
    assert check(db, bench.keys) == []
