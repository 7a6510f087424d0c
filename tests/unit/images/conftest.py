from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.identity import passwords
from tests.support.clock import FakeClock
from tests.unit.images.gallery import Gallery


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins are no subject here."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)


@pytest.fixture
def gallery(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Gallery]:
    made = Gallery(db, tmp_path / "data", clock)
    yield made
    made.close()
