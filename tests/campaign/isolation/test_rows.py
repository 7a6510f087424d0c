"""Rows of two tenants changed for each other: nothing of one opens under the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.objects.fsck import fsck
from tests.campaign.isolation.rows import TENANTS, Rows, offences
from tests.support.clock import FakeClock
from tests.support.vault import vault

CASES = 150


@pytest.fixture
def rows(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Rows]:
    with vault(db, MemoryEngine(), tmp_path, clock) as found:
        yield Rows(found)


def test_everything_opens_while_nothing_was_touched(rows: Rows) -> None:
    found = list(rows.opened())
    assert len(found) == len(rows.things)
    assert all(text.startswith(tenant) for tenant, text in found)
    assert list(rows.written()) == [(tenant, tenant) for tenant in TENANTS]
    assert [
        f for f in fsck(rows.vault.db, rows.vault.engine, rows.vault.keys, deep=True) if f.severity == "error"
    ] == []


def test_no_change_of_rows_opens_anything_of_another_tenant(rows: Rows) -> None:
    rng = random.Random(1)
    found = [text for _ in range(CASES) for text in offences(rows, rng)]
    assert found == []
    assert len(list(rows.opened())) == len(rows.things)  # every change was undone


@pytest.mark.parametrize("table", ["version", "part", "container"])
def test_a_whole_row_under_another_tenant_is_found_by_fsck(rows: Rows, table: str) -> None:
    db = rows.vault.db
    of = {tenant: rows.vault.objects.container(tenant, "plain").id for tenant in TENANTS}
    copied = "kek = (SELECT kek FROM container WHERE id = ?)"
    with db.write() as tx:
        if table == "version":
            tx.run(f"UPDATE version SET {copied} WHERE container_id = ? AND key = 'small'", (of["first"], of["second"]))
        elif table == "part":
            tx.run(f"UPDATE part SET {copied}", (of["first"],))
        else:
            tx.run("UPDATE container SET project_id = 'second', name = 'moved' WHERE id = ?", (of["first"],))
    found = [f for f in fsck(db, rows.vault.engine, rows.vault.keys) if "of another project" in f.text]
    assert found and {f.kind for f in found} == {"key"}
