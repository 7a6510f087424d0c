"""Whether an installation that lost its power kept its promises; looked at from inside, in a process of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# what a start imports late is imported here, once: every state is looked at in a fork
import andromede.identity.bootstrap
import andromede.identity.recovery
import andromede.objects.fsck
import andromede.ops.migration
import andromede.sovereignty.check  # noqa: F401
from andromede import app
from andromede.app.ledger import log_key_file
from andromede.audit import Recorder
from andromede.audit.leases import recover
from andromede.clock import SystemClock
from andromede.config import load
from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.errors import Denied, NotFound
from andromede.ids import RandomIds
from andromede.ledger import tree
from andromede.objects.model import Container, VersionQuery
from andromede.objects.model import Version as Row
from andromede.objects.service import Objects
from andromede.sovereignty.log import Logs
from andromede.sovereignty.logkeys import LogKeys
from tests.campaign.crash_checks import broken, unfilled
from tests.campaign.crash_control import GONE, SEALED
from tests.campaign.crash_doors import Promise
from tests.campaign.crash_load import FADING, LARGE
from tests.campaign.crash_model import ABSENT, MARKER, Change, State, Version, fits, shown

app.preload()

SOURCES = ("api-0", "objects-0", "objects-1", "work-0")


@dataclass(frozen=True, slots=True)
class Promised:
    """Everything that clients were told before the power went. `keys`: every change of every key."""

    project: str
    sacrifice: str
    key_ids: Mapping[str, str]
    keys: Mapping[str, list[Change]]
    promises: list[Promise]
    checkpoints: list[tuple[int, int, bytes]]
    ready: int
    """Operations until the first start had said that it is done."""


def possible(changes: list[Change], at: int, first: Any) -> list[Any]:
    """The states that a key may have after that many operations."""
    states = [first]
    for change in changes:
        if change.refused or change.begin >= at:
            continue
        if change.end is not None and change.end <= at:
            states = list(change.after[:1])
        else:
            states += change.after
    return states


def seen(row: Row, data: bytes | None) -> Version:
    """A version from inside; `data` None: its bytes were not read."""
    a = row.attributes
    vid = "" if row.is_null else row.shown_id
    if row.is_marker:
        return Version(MARKER, 0, vid=vid)
    sha = "" if data is None else hashlib.sha256(data).hexdigest()
    meta, tags = tuple(sorted(a.metadata.items())), tuple(sorted(a.tags.items()))
    return Version(sha, row.size, row.etag, a.content_type, meta, tags, None, vid)


class Inside:
    """An installation without its roles."""

    def __init__(self, data: Path, environment: Mapping[str, str]) -> None:
        self.config = load(data, {**environment, "ANDROMEDE_SERVER_LOG_LEVEL": "error"})
        app.initialise(self.config)
        self.base = app.Base.open(self.config, "objects-0")
        for source in SOURCES:  # what each role does when it starts
            with self.base.db.write() as tx:
                recover(tx, Recorder(source, SystemClock(), RandomIds()), source)
            DiskEngine(self.config.data / "blobs", source).close()
        self.objects = Objects(app.object_tools(self.base))

    def close(self) -> None:
        self.objects.close()
        self.base.db.close()

    @property
    def db(self) -> Database:
        return self.base.db

    def container(self, name: str, project: str) -> Container | None:
        try:
            return self.objects.container(project, name)
        except NotFound:
            return None

    def versions(self, box: Container, key: str, whole: bool) -> State:
        rows = self.objects.list_versions(box, VersionQuery(prefix=key)).entries
        found: list[Version] = []
        for row in rows:
            assert isinstance(row, Row)
            if row.key == key:
                found.append(seen(row, self.objects.read_all(row) if whole and not row.is_marker else None))
        return tuple(found)

    def observe(self, key: str, told: Promised) -> Any:
        """The state of a key in the form of the load's workers."""
        if key.startswith("key "):
            return self.named_key(key[4:], told)
        if key.startswith("p-"):
            row = self.db.one("SELECT description FROM identity_project WHERE name = ?", (key,))
            return GONE if row is None else ("there", str(row[0]))
        if key.startswith("b-"):
            return self.bucket(key, told)
        bucket, _, name = key.partition("/")
        box = self.container(bucket, told.sacrifice if bucket.startswith("sealed-") else told.project)
        if box is None:
            return ABSENT
        try:
            return self.versions(box, name, bucket != LARGE or "/segments/" in name)
        except Denied as error:
            if error.reason == "kms_destroyed":
                return SEALED
            raise

    def named_key(self, name: str, told: Promised) -> Any:
        keys = app.key_ring(self.base).list(told.sacrifice)
        found = [key for key in keys if key.name == name or key.id == told.key_ids.get(name)]
        return (str(found[0].state),) if found else GONE

    def bucket(self, name: str, told: Promised) -> Any:
        box = self.container(name, told.project)
        if box is None:
            return GONE
        versioning = {"off": "", "enabled": "Enabled", "suspended": "Suspended"}[str(box.versioning)]
        return ("there", "tagging" in box.documents, "policy" in box.documents, versioning)


def same(key: str, expected: Any, found: Any) -> bool:
    """Whether what is inside is what was promised; some of it cannot be seen from there."""
    if key.startswith("b-"):
        if expected == GONE or found == GONE:
            return bool(expected == found)
        return bool((expected[0], bool(expected[1]), bool(expected[2]), expected[3]) == found)
    if isinstance(expected, tuple) and isinstance(found, tuple) and all(isinstance(one, Version) for one in found):
        if len(found) == 1 and len(expected) == 1 and not found[0].sha:
            return bool(expected[0].meta == found[0].meta)
        return fits(expected, found)
    return bool(expected == found)


def first_state(key: str) -> Any:
    return GONE if key.startswith(("key ", "p-", "b-")) else ABSENT


def broken_promises(data: Path, environment: Mapping[str, str], told: Promised, at: int) -> list[str]:
    """Everything that is not as it was told before operation `at`."""
    inside = Inside(data, environment)
    try:
        return [*_keys(inside, told, at), *_ledger(inside, told, at), *_fsck(inside)]
    finally:
        inside.close()


def _keys(inside: Inside, told: Promised, at: int) -> list[str]:
    wrong: list[str] = []
    for key, changes in told.keys.items():
        expected = possible(changes, at, first_state(key))
        if key.startswith(f"{FADING}/"):
            expected.append(ABSENT)
        found = inside.observe(key, told)
        if not any(same(key, state, found) for state in expected):
            wrong.append(f"{key}: {shown(found)}, promised {[shown(state) for state in expected]}")
    return wrong


def _ledger(inside: Inside, told: Promised, at: int) -> list[str]:
    promises = [promise for promise in told.promises if promise.position <= at and not promise.read]
    wrong = broken(inside.db, promises)
    wrong += [f"a place without an event: {row}" for row in unfilled(inside.db)]
    logs = Logs(inside.db, LogKeys.open(log_key_file(inside.config)))
    log = logs.log(told.project)
    for position, size, root in told.checkpoints:
        if position > at:
            continue
        if log is None or log.size < size:
            wrong.append(f"a checkpoint of {size} events was given out, {log.size if log else 0} are in the log")
        elif size and tree.subtree(logs.hashes(log.origin), 0, size) != root:
            wrong.append(f"the checkpoint of {size} events that was given out has another root than the log")
    return wrong


def _fsck(inside: Inside) -> list[str]:
    found = app.check_store(inside.config, True, lambda: None)
    return [f"fsck: {row['kind']} {row['subject']}: {row['text']}" for row in found if row["severity"] == "error"]


def apart(work: Callable[[], list[str]]) -> list[str]:
    """Run in a fork, so that nothing of one installation is left for the next."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            try:
                lines = work()
            except BaseException as error:
                import traceback

                lines = [f"it cannot be opened: {error!r} {traceback.format_exc()[-1500:]}"]
            with os.fdopen(writer, "w") as out:
                out.write("\0".join(lines))
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text.split("\0") if text else []
