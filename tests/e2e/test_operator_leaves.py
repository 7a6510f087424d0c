"""What operators do on the server leaves one leaf each, with the right purpose, in the right log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.db import open_database
from tests.support.installation import Installation
from tests.support.load import S3Door

pytestmark = pytest.mark.timeout(300)
Leaf = tuple[str, str, str]


@pytest.fixture(scope="module")
def own() -> Iterator[Installation]:
    installation = Installation.fresh(server__object_workers=1, objects__read_audit_seconds=0.05)
    with installation:
        door = S3Door(installation)
        assert door.call("PUT", "/box")[0] == 200
        assert door.call("PUT", "/box/k", b"data")[0] == 200
        door.close()
        yield installation
    shutil.rmtree(installation.data, ignore_errors=True)


def dsn(installation: Installation) -> str:
    return str(installation.settings.get("storage.database") or f"sqlite:///{installation.data}/andromede.db")


def operators(installation: Installation) -> list[tuple[int, Leaf, int | None]]:
    """(id, (tenant, action, purpose), place) of everything that commands left."""
    db = open_database(dsn(installation))
    try:
        rows = db.all("SELECT id, tenant, body, position FROM audit_event WHERE source = 'operator' ORDER BY id")
    finally:
        db.close()
    found = []
    for number, tenant, body, place in rows:
        event: dict[str, Any] = json.loads(bytes(body))
        found.append((int(number), (str(tenant), str(event["action"]), str(event["purpose"])), place))
    return found


def left(installation: Installation, *words: str) -> list[Leaf]:
    """What one command left."""
    before = {number for number, _, _ in operators(installation)}
    installation.run(*words)
    after = [entry for entry in operators(installation) if entry[0] not in before]
    assert all(place is not None for _, _, place in after)
    return [leaf for _, leaf, _ in after]


def demo_project(installation: Installation) -> str:
    db = open_database(dsn(installation))
    try:
        row = db.one("SELECT id FROM identity_project WHERE name = 'demo'")
    finally:
        db.close()
    assert row is not None
    return str(row[0])


def test_commands_for_the_whole_installation(own: Installation, tmp_path: Path) -> None:
    assert left(own, "backup", str(tmp_path / "copy")) == [("", "operator:backup", "BACKUP")]
    assert left(own, "fsck") == [("", "operator:fsck", "OPERATOR_REVIEW")]
    assert left(own, "fsck", "--deep") == [("", "operator:fsck", "OPERATOR_REVIEW")]
    assert left(own, "keys", "rotate-tokens") == [("", "identity:rotate_keys", "OPERATOR_SYSTEM")]
    assert left(own, "recover-admin", "--yes") == [("", "identity:recover", "OPERATOR_INCIDENT")]
    told = left(own, "ledger", "tail", "-n", "1000")  # and everybody whose events it shows
    assert told[0][0] == "" and demo_project(own) in {leaf[0] for leaf in told}
    assert {leaf[1:] for leaf in told} == {("operator:tail", "OPERATOR_REVIEW")} and len(set(told)) == len(told)


def test_a_restored_installation_says_so(own: Installation, tmp_path: Path) -> None:
    own.run("backup", str(tmp_path / "copy"))
    other = Installation(tmp_path / "second", settings={})
    before = len(operators(own))
    other.run("restore", str(tmp_path / "copy"))
    leaves = [leaf for _, leaf, _ in operators(other)]
    assert leaves[-1] == ("", "operator:restore", "BACKUP")
    assert leaves.count(("", "operator:restore", "BACKUP")) == 1
    assert len(operators(own)) == before


def test_commands_on_keys_of_a_project_are_in_its_log(own: Installation) -> None:
    demo = demo_project(own)
    assert left(own, "keys", "create", demo, "--name", "mine") == [(demo, "keys:create", "OPERATOR_SYSTEM")]
    shown = json.loads(own.run("keys", "list", "--json").stdout)["keys"]
    key = next(key["id"] for key in shown if key["name"] == "mine")
    for word in ("rotate", "disable", "enable"):
        assert left(own, "keys", word, key) == [(demo, f"keys:{word}", "OPERATOR_SYSTEM")]
    assert left(own, "keys", "destroy", key, "--yes") == [  # the intent is stored before the act
        (demo, "keys:destroy_intent", "OPERATOR_SYSTEM"),
        (demo, "keys:destroy", "OPERATOR_SYSTEM"),
    ]


def test_whose_data_a_command_shows_learns_of_it(own: Installation) -> None:
    demo = demo_project(own)
    door = S3Door(own)
    _, _, headers = door.call("PUT", "/box/k", b"data")
    door.close()
    assert left(own, "explain", headers["x-amz-request-id"]) == [(demo, "operator:explain", "OPERATOR_REVIEW")]
    found = left(own, "explain", "access", "demo", "s3:GetObject", "box/k")
    assert found == [(demo, "operator:explain", "OPERATOR_REVIEW")]
    assert left(own, "ledger", "tail", "--project", demo) == [(demo, "operator:tail", "OPERATOR_REVIEW")]
    assert left(own, "ledger", "tail", "--project", "demo") == [(demo, "operator:tail", "OPERATOR_REVIEW")]
    assert own.run("ledger", "tail", "--project", "nobody", check=False).returncode == 1


def test_commands_that_show_nobodys_data_leave_nothing(own: Installation) -> None:
    for words in (("status",), ("check-config",), ("keys", "list"), ("explain", "access"), ("migrate", "--check")):
        assert left(own, *words) == [], words
