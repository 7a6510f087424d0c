"""A support bundle without passwords, even where an error of a library repeats one."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import pytest

from andromede.config import Config, Storage, without_passwords
from andromede.ops import layout, support
from andromede.ops.layout import Layout
from tests.support.clock import FakeClock, FakeIds

CANARY = "canary-91ac"


@pytest.mark.parametrize(
    "text",
    [
        f"connection to postgresql://user:{CANARY}@host/db failed",
        f"https://{CANARY}@host and ftp://a:{CANARY}@host",
        f"host=h user=u password={CANARY} dbname=d",
        f"PASSWORD='{CANARY} with a blank' host=h",
        f"postgresql://host/db?user=u&password={CANARY}&sslmode=require",
    ],
)
def test_passwords_in_addresses_are_not_shown(text: str) -> None:
    shown = without_passwords(text)
    assert CANARY not in shown and "(redacted)" in shown and "h" in shown


def test_what_holds_no_password_stays_as_it_is() -> None:
    for text in ("http://127.0.0.1:8700/identity/v3", "a mail to a@b", "sqlite:///d/andromede.db", "user:word@host"):
        assert without_passwords(text) == text


def test_a_bundle_with_an_unreachable_database(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> None:
    place = Layout(tmp_path / "data")
    layout.prepare(place, clock, ids)
    dsn = f"postgresql://user:{CANARY}@127.0.0.1:1/x"
    config = dataclasses.replace(
        Config(place.data), storage=Storage(database=dsn, s3_endpoint=f"https://u:{CANARY}@store", s3_credentials="/c")
    )
    place.log.write_text(f'{{"event": "x", "error": "{dsn}"}}\nTraceback (most recent call last):\n{dsn}\n')
    status = {"database_error": f"cannot reach {dsn}"}
    findings = [{"check": "database", "text": f"user=u password={CANARY}"}]
    names = support.write(place, config, status, findings, clock, tmp_path / "bundle")
    with tarfile.open(tmp_path / "bundle") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert len(members) == len(names) == 6
    assert [name for name, raw in members.items() if CANARY.encode() in raw] == []
    assert b"cannot reach" in members["andromede-support/status.json"]
