"""The short form of the campaign of histories, on SQLite and where it can be started on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.installation import ROOT
from tests.support.postgres import VARIABLE

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_histories_of_several_workers_are_linearizable(database: str) -> None:
    command = [sys.executable, "-m", "tests.campaign.history", "--short", "--seed", "7"]
    words = ["--postgres"] if database == "postgresql" else []
    env = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([*command, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)
    if "PostgreSQL: NOT RUN" in done.stdout:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{database}: 6 rounds, 0 wrong" in done.stdout
