from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from tests.campaign.isolation.places import beside
from tests.support.house import House, house


@pytest.fixture
def pair(db: Database, tmp_path: Path) -> Iterator[House]:
    """An installation with two workers of the object port."""
    with beside(db, tmp_path) as second, house([db, second], tmp_path) as found:
        yield found
