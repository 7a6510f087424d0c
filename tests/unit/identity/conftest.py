from __future__ import annotations

from pathlib import Path

import pytest

from andromede.db import Database
from andromede.identity import passwords
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests hash hundreds of passwords; test_passwords looks at the true parameters."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)


@pytest.fixture
def cloud(db: Database, tmp_path: Path, clock: FakeClock) -> Cloud:
    return Cloud(db, tmp_path, clock)
