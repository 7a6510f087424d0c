"""One compute API for each file of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from andromede.compute.tables import ACTIONS, ALLOCATIONS, CONSUMERS, DEVICES, GROUPS, QUOTAS, SERVERS
from andromede.db import open_database
from andromede.identity import passwords
from tests.support import postgres
from tests.support.clock import FakeClock
from tests.support.nova import Nova


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nova]:
    folder = tmp_path_factory.mktemp("nova")
    memory, passes = passwords.MEMORY_KIB, passwords.PASSES
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1
    dsn = postgres.address(f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    db = open_database(dsn or f"sqlite:///{folder}/test.db")
    if dsn:
        db.script(["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"])
    made = Nova(db, folder / "data", FakeClock())
    yield made
    made.hosted.site.close()
    db.close()
    passwords.MEMORY_KIB, passwords.PASSES = memory, passes


@pytest.fixture
def nova(cloud: Nova) -> Iterator[Nova]:
    """The same, empty."""
    cloud.alive()
    volumes, ports = dict(cloud.blocks.known), dict(cloud.wires.ports)
    yield cloud
    cloud.blocks.known, cloud.wires.ports = volumes, ports
    cloud.blocks.held.clear()
    cloud.wires.joined.clear()
    cloud.wires.floating.clear()
    with cloud.db.write() as tx:
        for table in (SERVERS, DEVICES, ALLOCATIONS, CONSUMERS, GROUPS, QUOTAS, ACTIONS):
            table.remove(tx)
