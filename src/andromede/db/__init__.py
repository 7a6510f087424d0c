"""Connections, transactions, migrations: the seam between SQLite and PostgreSQL.

Statements are written once with `?` placeholders. Every write transaction holds the installation's
writer gate, so at most one runs at a time: code inside `write()` may read, decide and write without
racing another writer (docs/decisions/0002).
"""

from andromede.db.base import Database, Migration, Reach, Row, Tx, ahead, migrate, pending
from andromede.db.opening import open_database

__all__ = ["Database", "Migration", "Reach", "Row", "Tx", "ahead", "migrate", "open_database", "pending"]
