from __future__ import annotations

from pathlib import Path

import pytest

from andromede.db import Database
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud


@pytest.fixture
def cloud(db: Database, tmp_path: Path, clock: FakeClock) -> Cloud:
    return Cloud(db, tmp_path, clock)
