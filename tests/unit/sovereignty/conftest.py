from __future__ import annotations

from pathlib import Path

import pytest

from andromede.db import Database
from andromede.identity import passwords
from tests.support.clock import FakeClock
from tests.support.tenantlog import TenantLog


@pytest.fixture
def tenantlog(db: Database, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> TenantLog:
    """An installation with people in it; their passwords are hashed quickly."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    return TenantLog(db, tmp_path, clock)
