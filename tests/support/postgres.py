"""Databases on the PostgreSQL that ANDROMEDE_TEST_POSTGRES names (`tools/postgres` starts one)."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

VARIABLE = "ANDROMEDE_TEST_POSTGRES"


def address(database: str) -> str:
    """The address of the database of this name, made if it is not there; an empty string without a server."""
    server = os.environ.get(VARIABLE, "")
    if not server:
        return ""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if known is None:
            connection.execute(f'CREATE DATABASE "{database}"')
    return urlsplit(server)._replace(path=f"/{database}").geturl()
