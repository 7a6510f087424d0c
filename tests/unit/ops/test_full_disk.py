"""A full disk is said to clients and ends nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from andromede.clock import SystemClock
from andromede.db import open_database
from andromede.errors import NoCapacity, Unavailable
from andromede.log import Log


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_is_no_failure() -> None:
    Log(Full(), clock=SystemClock()).alert("something", of="note")


def test_a_full_database_is_no_capacity(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/full.db")
    db.script(["CREATE TABLE t (body BLOB)"])
    db.all("PRAGMA max_page_count=16")
    with pytest.raises(NoCapacity, match="full"):
        with db.write() as tx:
            for _ in range(100):
                tx.run("INSERT INTO t (body) VALUES (?)", (b"x" * 4096,))
    with db.write() as tx:
        tx.run("INSERT INTO t (body) VALUES (?)", (b"small",))
    assert db.all("SELECT body FROM t") == [(b"small",)]
    db.close()


def test_a_database_that_may_not_be_written_is_unavailable(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/closed.db")
    db.script(["CREATE TABLE t (n INTEGER)"])
    db.all("PRAGMA query_only=1")
    with pytest.raises(Unavailable, match="cannot be written"):
        with db.write() as tx:
            tx.run("INSERT INTO t (n) VALUES (1)")
    db.close()
