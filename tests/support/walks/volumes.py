"""Walks of volumes, snapshots and backups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.volumes import backup_lifecycle, lifecycle
from andromede.volumes.model import Attachment, Backup, Snapshot, Volume
from andromede.volumes.ports import Picture
from andromede.volumes.schema import DEFAULT_TYPE
from andromede.volumes.tables import ATTACHMENTS, BACKUPS, SNAPSHOTS, VOLUMES
from andromede.work.runner import Runner, Tools
from tests.support.disks import PROJECT, Twins
from tests.support.lifecycles import Scene, Stage, Walk

TEXT = b"bytes of a tenant "
SERVER = "0000beef-0000-4000-8000-000000000000"


def volume(scene: Scene, row_id: str, state: str, **changes: Any) -> Volume:
    now = scene.clock.now_us()
    base: dict[str, Any] = {
        "id": row_id, "project_id": PROJECT, "user_id": "u", "size": 1, "type_id": DEFAULT_TYPE, "zone": "nova",
        "created_us": now, "state": state, "since_us": now, "request_id": "req-1",
    }  # fmt: skip
    return Volume(**base | changes)


def snapshot(scene: Scene, state: str, **changes: Any) -> Snapshot:
    now = scene.clock.now_us()
    base: dict[str, Any] = {
        "id": "5a", "project_id": PROJECT, "user_id": "u", "size": 1, "volume_id": "f0", "created_us": now,
        "state": state, "since_us": now, "due_us": now, "request_id": "req-1",
    }  # fmt: skip
    return Snapshot(**base | changes)


def backup(scene: Scene, state: str, **changes: Any) -> Backup:
    now = scene.clock.now_us()
    base: dict[str, Any] = {
        "id": "ba", "project_id": PROJECT, "user_id": "u", "size": 1, "volume_id": "f0", "zone": "nova",
        "data_id": "ba", "data_us": now, "created_us": now, "state": state, "since_us": now, "due_us": now,
        "request_id": "req-1",
    }  # fmt: skip
    return Backup(**base | changes)


def attached(scene: Scene, twins: Twins, volume_id: str) -> None:
    twins.engine.busy.add(volume_id)
    now = scene.clock.now_us()
    row = Attachment("a7", PROJECT, volume_id, SERVER, "h", "/dev/vdb", "rw", "attached", {}, now, now)
    with scene.db.write() as tx:
        ATTACHMENTS.insert(tx, row)


Prepare = Callable[[Scene, Twins], None]


def _stage(kind: str, row: Callable[[Scene], Any], prepare: Prepare, kept: tuple[str, ...] = ()) -> Any:
    """A stage whose row is made after `prepare`; `kept`: disks that stay when the row is deleted."""
    made: dict[str, Callable[[Any], Any]] = {
        "volume": lifecycle.volumes,
        "volume_snapshot": lifecycle.snapshots,
        "volume_backup": backup_lifecycle.backups,
    }
    tables = {"volume": VOLUMES, "volume_snapshot": SNAPSHOTS, "volume_backup": BACKUPS}

    def stage(scene: Scene) -> Stage:
        twins = Twins(scene.db, scene.clock, scene.ids, scene.folder)
        prepare(scene, twins)
        working = row(scene)
        table: Any = tables[kind]
        with scene.db.write() as tx:
            table.insert(tx, working)
        host = twins.host(
            scene.wrap(twins.engine, "disk."), scene.wrap(twins.guests, "guest."), scene.wrap(twins.vault, "vault.")
        )

        def looks() -> Any:
            others = [(v.id, v.state, v.size, v.bootable) for v in VOLUMES.select(scene.db) if v.id != working.id]
            return (
                twins.contents(),
                sorted(twins.vault.held),
                others,
                dict(twins.guests.jobs),
                dict(twins.pictures.uploaded),
            )

        def leaks() -> Any:
            twins.engine.busy.clear()
            held = [name for _, name in twins.vault.held if not name.startswith("00/")]
            return [*twins.left(*kept), *held, *twins.guests.jobs]

        def meanwhile() -> None:
            """Nobody removes a disk that a guest has open: the guest lets go first."""
            row = table.find(scene.db, id=working.id)
            if row is not None and row.state == "deleting":
                twins.engine.busy.clear()

        return Stage(made[kind](host), working.id, looks, leaks, meanwhile)

    return stage


def nothing(scene: Scene, twins: Twins) -> None:
    """A host without disks."""


def filled(scene: Scene, twins: Twins) -> None:
    twins.filled("f0", TEXT)
    with scene.db.write() as tx:
        VOLUMES.insert(tx, volume(scene, "f0", "available"))


def running(scene: Scene, twins: Twins) -> None:
    twins.filled("f0", TEXT)
    with scene.db.write() as tx:
        VOLUMES.insert(tx, volume(scene, "f0", "in-use"))
    attached(scene, twins, "f0")


def with_snapshot(scene: Scene, twins: Twins) -> None:
    twins.filled("5a", TEXT)


def own(scene: Scene, twins: Twins) -> None:
    twins.filled("d0", TEXT)


def own_running(scene: Scene, twins: Twins) -> None:
    twins.filled("d0", TEXT)
    attached(scene, twins, "d0")


def pictured(scene: Scene, twins: Twins) -> None:
    twins.pictures.add(Picture("1a", "i", "active", size=512), b"x" * 512)


def pictured_anew(scene: Scene, twins: Twins) -> None:
    own(scene, twins)
    pictured(scene, twins)


def with_both(scene: Scene, twins: Twins) -> None:
    twins.filled("5a", TEXT)
    twins.filled("d0", b"what came later")


def stored(scene: Scene, twins: Twins) -> None:
    """A full backup "00" of "f0", and a volume that waits to be filled."""
    filled(scene, twins)
    first = backup(scene, "creating", id="00", data_id="00")
    with scene.db.write() as tx:
        BACKUPS.insert(tx, first)
        VOLUMES.insert(tx, volume(scene, "e0", "restoring-backup"))
    tools = Tools(scene.db, scene.clock, scene.ids, _quiet(), scene.recorder, "before")
    Runner(tools, [backup_lifecycle.backups(twins.host())]).settle()


def _quiet() -> Any:
    import io

    from andromede.log import Log

    return Log(io.StringIO())


def changed(scene: Scene, twins: Twins) -> None:
    """The same, and bytes that came after the backup."""
    stored(scene, twins)
    with twins.host().disks.plain("f0", writable=True) as raw:
        raw.write(512 << 20, TEXT)


def _volume(state: str, **changes: Any) -> Callable[[Scene], Any]:
    return lambda scene: volume(scene, "d0", state, due_us=scene.clock.now_us(), **changes)


EXTENDING = {"new_size": 2, "previous": "available"}
UPLOADING = {"previous": "available", "wish": {"image_id": "1a", "copy_id": "c0"}}


def _snapshot(state: str) -> Callable[[Scene], Any]:
    return lambda scene: snapshot(scene, state)


def _backup(state: str, **changes: Any) -> Callable[[Scene], Any]:
    return lambda scene: backup(scene, state, **changes)


def _walk(kind: str, name: str, ends: str, row: Any, prepare: Prepare, *kept: str) -> Walk:
    return Walk(kind, name, ends, _stage(kind, row, prepare, kept), frozenset({"updated_us"}))


V, S, B = "volume", "volume_snapshot", "volume_backup"
IN_USE = {"previous": "in-use"}
AGAIN = _backup("creating", parent_id="00", incremental=True)
ANEW = _volume("downloading", image_id="1a", wish={"wipe": "yes"})
BACK = _volume("reverting", wish={"wipe": "yes", "snapshot_id": "5a"})
WALKS = [
    _walk(V, "empty", "available", _volume("creating"), nothing),
    _walk(V, "of a snapshot", "available", _volume("creating", snapshot_id="5a"), with_snapshot, "5a"),
    _walk(V, "of a volume", "available", _volume("creating", source_id="f0", size=2), filled, "f0"),
    _walk(V, "of a running one", "available", _volume("creating", source_id="f0", size=2), running, "f0"),
    _walk(V, "of an image", "available", _volume("creating", image_id="1a"), pictured),
    _walk(V, "growing", "available", _volume("extending", **EXTENDING), own),
    _walk(V, "growing in use", "in-use", _volume("extending", **EXTENDING | IN_USE), own_running),
    _walk(V, "to an image", "available", _volume("uploading", **UPLOADING), own),
    _walk(V, "in use to an image", "in-use", _volume("uploading", **UPLOADING | IN_USE), own_running),
    _walk(V, "of another image", "available", ANEW, pictured_anew),
    _walk(V, "back to a snapshot", "available", BACK, with_both, "5a"),
    _walk(V, "going", "", _volume("deleting"), own),
    _walk(S, "taken", "available", _snapshot("creating"), filled, "f0"),
    _walk(S, "taken of a running one", "available", _snapshot("creating"), running, "f0"),
    _walk(S, "going", "", _snapshot("deleting"), with_snapshot),
    _walk(B, "whole", "available", _backup("creating"), filled, "f0"),
    _walk(B, "of a running one", "available", _backup("creating", wish={"copy_id": "c0"}), running, "f0"),
    _walk(B, "of what changed", "available", AGAIN, changed, "f0"),
    _walk(B, "restored", "available", _backup("restoring", restore_id="e0", data_id="00"), stored, "f0", "e0"),
    _walk(B, "going", "", _backup("deleting"), filled, "f0"),
]
