"""Fixtures shared by all tests: the database under test is SQLite, and PostgreSQL where
ANDROMEDE_TEST_POSTGRES holds a DSN."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database, open_database
from tests.support import postgres
from tests.support.clock import FakeClock, FakeIds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids() -> FakeIds:
    return FakeIds()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    dsn = postgres.address(f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    database = open_database(dsn or f"sqlite:///{tmp_path}/test.db")
    if dsn:
        database.script(["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"])
    yield database
    database.close()
