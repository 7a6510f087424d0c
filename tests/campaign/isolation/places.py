"""More connections to the database under test, as other processes have them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from andromede.db import Database, open_database
from tests.support import postgres


@contextmanager
def beside(db: Database, folder: Path) -> Iterator[Database]:
    """The database of the fixture `db`, opened once more."""
    if db.dialect == "postgresql":
        dsn = postgres.address(f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    else:
        dsn = f"sqlite:///{folder}/test.db"
    second = open_database(dsn)
    try:
        yield second
    finally:
        second.close()
