"""Pytest plugin for runs of ceph/s3-tests: every test gets its own bucket prefix, and results are kept as they come.

The suite cleans up by deleting whatever carries the prefix of the session, so one bucket that cannot be deleted makes
the set-up of all later tests fail. Here each test draws a new prefix, and cleaning never raises.
Results go to the file named by S3_RESULTS, one JSON object a line: id, outcome, seconds, message.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import s3tests.functional as suite

_set_up = suite.setup
_remove = suite.nuke_prefixed_buckets


def _own_prefix() -> None:
    suite.prefix = suite.choose_bucket_prefix("x-{random}-", max_len=24)
    _set_up()


def _remove_what_can_be(prefix: str, client: Any = None) -> None:
    try:
        _remove(prefix, client)
    except Exception as failure:  # whatever a broken server makes the client raise
        print(f"left behind: {failure}")


suite.setup = _own_prefix
suite.nuke_prefixed_buckets = _remove_what_can_be


class Results:
    """Joins set-up, call and tear-down of a test to one outcome and appends it to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        blank = {"id": report.nodeid, "outcome": "passed", "seconds": 0.0, "message": ""}
        entry = self.seen.setdefault(report.nodeid, blank)
        entry["seconds"] = round(entry["seconds"] + report.duration, 2)
        if report.failed:
            lines = str(report.longrepr).splitlines() or [""]
            errors = [line for line in lines if line.startswith("E  ")] or lines[-1:]
            entry["outcome"] = "failed"
            entry["message"] = f"{'' if report.when == 'call' else report.when} {errors[0]}"[:400]
        elif report.skipped and entry["outcome"] == "passed":
            entry["outcome"] = "skipped"
        if report.when == "teardown":
            with self.path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(entry) + "\n")


def pytest_configure(config: Any) -> None:
    path = os.environ.get("S3_RESULTS")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(Path(path)))
