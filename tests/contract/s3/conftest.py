"""The S3 door over the object service with the engine's twin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.config import Config, load
from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.log import Log
from tests.contract.s3.client import Client, context_of
from tests.support.clock import FakeClock, FakeIds
from tests.support.vault import vault


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path, {}, {"objects": {"s3_domains": ["s3.example.org"], "sse_c_plain_http": True}})


@pytest.fixture
def s3(db: Database, tmp_path: Path, clock: FakeClock, ids: FakeIds, config: Config) -> Iterator[Client]:
    with vault(db, MemoryEngine(), tmp_path, clock, ids) as made:
        client = Client(context_of(made.objects, clock, ids, config, Log(level="error")))
        client.events = made.events
        yield client
