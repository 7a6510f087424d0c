"""A database that counts what its statements visit: which of them depends on how much is stored?"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from andromede.db.sqlite import SqliteDatabase

EVERY = 20
_LITERAL = re.compile(r"x'[0-9A-Fa-f]*'|'(?:[^']|'')*'|\b\d+\b", re.IGNORECASE)


def shape(sql: str) -> str:
    """A statement without its values; lists of values have one form."""
    return re.sub(r"\?(?:, \?)+", "?, …", _LITERAL.sub("?", sql))


class Counting(SqliteDatabase):
    """SQLite that keeps, for each shape of statement, the most steps of its virtual machine that one run took: in
    units of one, exact to `EVERY`. A row that is looked at takes some."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._watched: set[int] = set()
        self.steps: dict[str, int] = {}

    def _conn(self) -> sqlite3.Connection:
        conn = super()._conn()
        if id(conn) not in self._watched:
            self._watched.add(id(conn))
            self._watch(conn)
        return conn

    def _watch(self, conn: sqlite3.Connection) -> None:
        statement, count = "", 0

        def begins(sql: str) -> None:
            nonlocal statement, count
            statement, count = shape(sql), 0
            self.steps.setdefault(statement, 0)

        def steps() -> int:
            nonlocal count
            count += EVERY
            self.steps[statement] = max(self.steps.get(statement, 0), count)
            return 0

        conn.set_trace_callback(begins)
        conn.set_progress_handler(steps, EVERY)

    def forget(self) -> None:
        """Begin anew."""
        self.steps = {}
