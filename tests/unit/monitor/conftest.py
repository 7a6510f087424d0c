from __future__ import annotations

from pathlib import Path

import pytest

from andromede.db import Database
from andromede.identity import passwords
from tests.support.clock import FakeClock
from tests.support.monitoring import Tenant
from tests.support.tenantlog import TenantLog


@pytest.fixture
def tenant(db: Database, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """The monitor of project demo, beside an installation whose log has ten signed entries at least."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    log = TenantLog(db, tmp_path, clock)
    log.record(10)
    log.sequence()
    return Tenant(log, tmp_path / "monitor")
