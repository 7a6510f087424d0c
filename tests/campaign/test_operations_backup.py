"""Backups under load: short form of `tests.campaign.backup`."""

from __future__ import annotations

import shutil

import pytest

from tests.campaign import backup
from tests.support.installation import Installation

pytestmark = pytest.mark.timeout(300)


def test_a_backup_under_load_is_a_consistent_point() -> None:
    with Installation.fresh() as installation:
        found = backup.run(installation, 1, 3, pace=0.005)
    shutil.rmtree(installation.data, ignore_errors=True)
    assert [each["problems"] for each in found] == [[]]
    assert all(int(str(each["answered_meanwhile"])) > 3 for each in found)


def test_the_judge_knows_a_torn_backup() -> None:
    writer = backup.Writer(Installation.fresh(), None, 1)  # type: ignore[arg-type]
    bodies = [number.to_bytes(8, "big") + b"x" for number in range(4)]
    keys = [("first", "a"), ("second", "b"), ("first", "a"), ("second", "b")]
    for number, (key, body) in enumerate(zip(keys, bodies, strict=True)):
        writer.journal.append(backup.Change(key, body, number, number + 0.5))

    def copy(first: int | None, second: int | None) -> dict[backup.Key, bytes | None]:
        pick = [None if number is None else bodies[number] for number in (first, second)]
        return {("first", "a"): pick[0], ("second", "b"): pick[1]}

    def problems(state: dict[backup.Key, bytes | None], began: float, ended: float) -> list[str]:
        return writer.problems(state.__getitem__, began, ended)

    assert problems(copy(0, 1), 1.6, 2.5) == []
    assert problems(copy(2, 1), 1.6, 2.5) == []
    assert problems(copy(2, 1), 0.1, 9.0) == []
    assert "instead of" in problems(copy(0, None), 1.6, 2.5)[0]  # answered before, and not there
    assert "instead of" in problems(copy(0, 3), 0.1, 9.0)[0]  # a later change without the one before it
    assert "had ended before" in problems(copy(2, 3), 0.1, 2.5)[0]  # asked after the end
    shutil.rmtree(writer.installation.data)
