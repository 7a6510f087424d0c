"""The support bundle: what helps to find a fault, and no data, keys, credentials or names of objects."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import tarfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from andromede import __version__
from andromede import config as settings
from andromede.clock import Clock
from andromede.config import Config
from andromede.ops import logfile
from andromede.ops.layout import Layout, private_write

_KEPT = """
ts level event role pid child child_pid how restart_in alert request_id status kind method seconds mark writes reads api
objects count size
"""
KEPT_FIELDS = frozenset(_KEPT.split())
"""Fields of log lines that hold no tenant's names; the values of all others are left out."""
SECRET_SETTINGS = frozenset({"storage.database", "storage.s3_credentials"})
LINES = 5000
_TRACE_LINE = re.compile(r'^(Traceback|  File "[^"]*", line \d+, in \S+$|[A-Za-z_.]+(Error|Exception|Exit))')


def redact(line: str) -> str:
    """A log line without values that may name or hold tenant data."""
    try:
        record = json.loads(line)
    except ValueError:
        found = _TRACE_LINE.match(line)
        return found[0] if found else "(redacted)"
    if not isinstance(record, dict):
        return "(redacted)"
    kept = {name: value if name in KEPT_FIELDS else "(redacted)" for name, value in record.items()}
    if "trace" in record:
        kept["trace"] = [redact(part) for part in str(record["trace"]).splitlines()]
    return json.dumps(kept, ensure_ascii=False)


def _settings(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, _, default, _ in settings.reference():
        section, _, word = name.partition(".")
        value = getattr(getattr(config, section), word)
        found[name] = "(set)" if name in SECRET_SETTINGS and value != default else value
    return found


def _versions() -> dict[str, str]:
    try:
        wanted = [re.split(r"[<>=\[; ]", name)[0] for name in metadata.requires("andromede") or ()]
    except metadata.PackageNotFoundError:  # run from a source tree
        wanted = []
    found = {"andromede": __version__, "python": sys.version, "platform": platform.platform()}
    for name in wanted:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _files(place: Layout) -> list[str]:
    """Modes and sizes of the directory's own files; blobs are only counted."""
    rows = []
    for path in sorted(place.data.iterdir()):
        found = path.stat()
        count = f" {sum(1 for _ in path.rglob('*'))} entries" if path.is_dir() else f" {found.st_size} bytes"
        rows.append(f"{oct(found.st_mode)} {path.name}{count}")
    return rows


def _scrubbed(contents: Mapping[str, str]) -> dict[str, str]:
    """Errors of libraries may repeat an address with its password."""
    return {name: settings.without_passwords(text) for name, text in contents.items()}


def write(place: Layout, config: Config, status: Mapping[str, Any], findings: Iterable[Mapping[str, Any]], clock: Clock,
          target: Path) -> list[str]:  # fmt: skip
    """Write the archive (mode 0600); the names of its files."""
    lines = [redact(line) for line in logfile.all_lines(place.log)[-LINES:]]
    contents = _scrubbed({
        "versions.json": json.dumps(_versions(), indent=1),
        "settings.json": json.dumps(_settings(config), indent=1, default=str),
        "status.json": json.dumps(dict(status), indent=1, default=str),
        "doctor.json": json.dumps(list(findings), indent=1),
        "files.txt": "\n".join(_files(place)) + "\n",
        "log.jsonl": "\n".join(lines) + "\n",
    })  # fmt: skip
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(f"andromede-support/{name}")
            entry.size, entry.mode, entry.mtime = len(text.encode()), 0o600, clock.now_us() // 1_000_000
            archive.addfile(entry, io.BytesIO(text.encode()))
    private_write(target, buffer.getvalue())
    return list(contents)
