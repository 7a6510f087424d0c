"""Neighbours of compute on a host, over the services of an installation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.app.hosting.crew import Disks, Images, LiveDisks, Volumes
from andromede.compute.model import Device, DeviceState
from andromede.compute.tables import DEVICES, SERVERS
from andromede.db import Database
from andromede.engines.memory_disks import MemoryDisks
from andromede.errors import Unavailable
from andromede.images.model import NewImage
from andromede.volumes.service import VolumeWish
from andromede.volumes.tables import SNAPSHOTS, VOLUMES
from tests.support.clock import FakeClock
from tests.support.hosted_api import Hosted
from tests.support.walks.servers import server


@pytest.fixture
def hosted(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    from andromede.identity import passwords

    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    made = Hosted(db, tmp_path / "data", FakeClock())
    yield made
    made.site.close()


def test_a_volume_that_another_server_uses_outlives_the_server_that_was_to_take_it_along(hosted: Hosted) -> None:
    volumes, project = hosted.site.volumes, hosted.project_id
    volume = volumes.create_for(project, "u", VolumeWish(size=1), "req-1")
    with hosted.site.base.db.write() as tx:
        VOLUMES.update(tx, {"id": volume.id}, state="available", due_us=None)
    volumes.reserve(volume.id, project, "another", "req-1")
    gone, crew = server(1, "deleting", project_id=project), Volumes(hosted.site)
    disk = Device(id="d", project_id=project, server_id=gone.id, kind="disk", state=DeviceState.WISHED, since_us=1,
                  target="volume", volume_id=volume.id, delete_on_termination=True)  # fmt: skip
    crew.detach(gone, disk)
    crew.delete(gone, disk)
    assert [row.server_id for row in volumes.attachments(volume.id)] == ["another"]
    assert volumes.find(volume.id, project).state != "deleting"
    volumes.detach(volume.id, "another", "req-2")
    crew.delete(gone, disk)
    assert volumes.find(volume.id, project).state == "deleting"


def test_a_volume_that_has_grown_is_in_the_history_of_its_server(hosted: Hosted) -> None:
    volumes, project, live = hosted.site.volumes, hosted.project_id, LiveDisks(hosted.site)
    volume = volumes.create_for(project, "u", VolumeWish(size=1), "req-1")
    held = server(1, "active", project_id=project)
    disk = Device(id="d", project_id=project, server_id=held.id, kind="disk", state=DeviceState.ATTACHED, since_us=1,
                  target="volume", volume_id=volume.id, size_gb=1)  # fmt: skip
    grown = dataclasses.replace(volume, new_size=3, request_id="req-2")
    with hosted.site.base.db.write() as tx:
        SERVERS.insert(tx, held)
        DEVICES.insert(tx, disk)
        live.extended(tx, held.id, grown)
        live.extended(tx, "a machine of somebody's own", grown)
    path = f"/compute/v2.1/servers/{held.id}/os-instance-actions"
    told = hosted.call("GET", path, hosted.admin).json["instanceActions"]
    assert [(row["action"], row["request_id"]) for row in told] == [("extend_volume", "req-2")]
    whole = hosted.call("GET", f"{path}/req-2", hosted.admin).json["instanceAction"]
    assert [(event["event"], event["result"]) for event in whole["events"]] == [("compute_extend_volume", "Success")]
    assert [row.size_gb for row in DEVICES.select(hosted.site.base.db, {"server_id": held.id})] == [3]


def test_a_volume_is_made_of_a_snapshot_once_that_is_there(hosted: Hosted) -> None:
    volumes, project = hosted.site.volumes, hosted.project_id
    volume = volumes.create_for(project, "u", VolumeWish(size=1), "req-1")
    with hosted.site.base.db.write() as tx:
        VOLUMES.update(tx, {"id": volume.id}, state="in-use", due_us=None)
        hosted.site.compute.core.volumes.take_snapshot(volume.id, ("u", "req-2"), "snapshot for x", tx)
    (taken,) = SNAPSHOTS.select(hosted.db, {})
    made, crew = server(1, "block_device_mapping", project_id=project), Volumes(hosted.site)
    disk = Device(id="6f5902ac-0000-4000-8000-00000000000d", project_id=project, server_id=made.id, kind="disk",
                  state=DeviceState.WISHED, since_us=1, target="volume", source="snapshot", source_id=taken.id,
                  size_gb=1)  # fmt: skip
    with pytest.raises(Unavailable):
        crew.make(made, disk)
    with hosted.site.base.db.write() as tx:
        SNAPSHOTS.update(tx, {"id": taken.id}, state="available", due_us=None)
    assert volumes.find(crew.make(made, disk), project).snapshot_id == taken.id


def test_backups_of_a_server_are_rotated(hosted: Hosted) -> None:
    images, project = hosted.site.images, hosted.project_id
    own = server(1, "snapshotting", project_id=project)
    ids = []
    for number, (of, protected) in enumerate(((own.id, False), (own.id, True), ("other", False), (own.id, False))):
        hosted.clock.advance(1)
        told = {"image_type": "backup", "backup_type": "daily", "instance_uuid": of}
        new = NewImage(name=f"b{number}", properties=told, protected=protected)
        ids.append(images.create_from(project, "u", new, "req-1").id)
    Images(hosted.site).rotate(own, "weekly", 0)
    Images(hosted.site).rotate(own, "daily", 1)
    assert [images.is_there(image) for image in ids] == [False, True, True, True]


def test_a_disk_is_formatted_with_what_was_asked_for(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, disk_id = MemoryDisks(), "6f5902ac-0000-4000-8000-00000000000e"
    monkeypatch.setattr(hosted.site.disks, "_make", lambda: engine)
    own = server(1, "block_device_mapping", project_id=hosted.project_id)
    for _ in range(2):
        Disks(hosted.site).blank(own, disk_id, 4 << 20, "swap")
    with hosted.site.disks.plain(disk_id) as raw:
        assert raw.read(4086, 10) == b"SWAPSPACE2"
