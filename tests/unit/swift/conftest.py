"""Doors for the Swift tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from tests.support.clock import FakeClock
from tests.support.doors import Doors, doors


@pytest.fixture
def door(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Doors]:
    with doors(db, tmp_path, clock) as found:
        assert found.swift("PUT", "box").status == 201
        yield found
