"""What an installation leaves behind in the kernel, among the processes, on the disk and in its rows.

A suite takes stock before and after: whatever is there afterwards and was not before has leaked. Everything of an
installation in the kernel carries the first six digits of its id.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.installation import Installation

SETTLE_SECONDS = 60.0
PASSING = ("andromede.db", "log/", "run/", "blobs/", "keys/", "ledger", "spool/", "images-cache/")
"""Parts of the data directory that are no resources of hosting, collected later, or kept while their image is."""
TABLES = ("compute_", "placement_", "network_", "volume", "block_", "image", "balancer", "keymanager_", "secret")
HISTORY = ("compute_action", "compute_action_event", "volume_message", "compute_usage", "image_task", "volume_quota",
           "compute_quota", "network_quota")  # fmt: skip
"""Tables of what has been, and of limits that were set, which are kept on purpose."""
_BACKUP = """properties LIKE '%"image_type": "backup"%'"""
PRESENT = {
    "compute_server": "state <> 'deleted'", "image": f"state <> 'queued' AND NOT {_BACKUP}",
    "image_word": f"image_id NOT IN (SELECT id FROM image WHERE {_BACKUP})",
}  # fmt: skip
"""Which rows count: servers are remembered for a while; a suite leaves the image whose import it made fail, and a
backup of a server, which is its owner's as long as there is one."""


@dataclass(slots=True)
class Stock:
    """Names by kind."""

    kinds: dict[str, set[str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def beyond(self, before: Stock) -> dict[str, list[str]]:
        """What is here and was not before, by kind."""
        found = {kind: sorted(names - before.kinds.get(kind, set())) for kind, names in self.kinds.items()}
        grown = [f"{table}: {count - before.rows.get(table, 0)} more" for table, count in self.rows.items()
                 if count > before.rows.get(table, 0)]  # fmt: skip
        return {kind: names for kind, names in {**found, "rows": grown}.items() if names}


def _words(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


def mark(installation: Installation) -> str:
    """The six digits that this installation's things carry."""
    return str(json.loads((installation.data / "installation.json").read_text())["id"])[:6]


def take(installation: Installation) -> Stock:
    own = mark(installation)
    spaces = {line.split()[0] for line in _words("ip", "netns", "list").splitlines() if own in line}
    links = {str(link["ifname"]) for link in json.loads(_words("ip", "-j", "link") or "[]") if own in link["ifname"]}
    runtime = Path(str(installation.settings.get("hosting.runtime", "/run/andromede"))) / own
    kinds = {
        "namespaces": spaces,
        "links": links,
        "processes": _processes(installation, own),
        "sockets": _files(runtime, ()),
        "files": _files(installation.data, PASSING),
    }
    return Stock(kinds, _rows(installation.data / "andromede.db"))


def _files(folder: Path, passing: tuple[str, ...]) -> set[str]:
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    return {name for name in names if not name.startswith(passing)}


def _processes(installation: Installation, own: str) -> set[str]:
    """Command lines, without the program's own roles."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        ours = own in line or str(installation.data) in line
        if ours and any(name in line.partition(" ")[0] for name in ("qemu", "dnsmasq", "haproxy", "sh")):
            found.add(line[:200])
    return found


def _rows(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        hosted = [name for name in names if name.startswith(TABLES) and name not in HISTORY]
        counts = {name: f"SELECT count(*) FROM {name} WHERE {PRESENT.get(name, '1 = 1')}" for name in hosted}
        return {name: db.execute(sql).fetchone()[0] for name, sql in counts.items()}
    finally:
        db.close()


def left(installation: Installation, before: Stock, seconds: float = SETTLE_SECONDS) -> Mapping[str, list[str]]:
    """What has leaked since, after workers had time to take away what was deleted."""
    end = time.monotonic() + seconds
    while True:
        found = take(installation).beyond(before)
        if not found or time.monotonic() > end:
            return found
        time.sleep(1.0)
