"""Snapshots, backups, transfers, attachments and what Nova calls, through the API port and the service."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from andromede.app.hosting.compute_neighbours import ImagesHere, VolumesHere
from andromede.errors import Invalid, NotFound, Unavailable
from andromede.volumes import creation
from andromede.volumes.ports import Picture
from andromede.volumes.service import VolumeWish
from andromede.volumes.tables import ATTACHMENTS, DISKS, VOLUMES
from tests.unit.volumes.conftest import Cinder

SERVER = "0000beef-0000-4000-8000-000000000000"


def write(cinder: Cinder, disk_id: str, text: bytes, at: int = 0) -> None:
    with cinder.host.disks.plain(disk_id, writable=True) as raw:
        raw.write(at, text)


def read(cinder: Cinder, disk_id: str, length: int, at: int = 0) -> bytes:
    with cinder.host.disks.plain(disk_id) as raw:
        return raw.read(at, length)


def snapshot(cinder: Cinder, volume_id: str, version: str = "3.0", **fields: Any) -> dict[str, Any]:
    body = {"snapshot": {"volume_id": volume_id, **fields}}
    made = cinder.call("POST", "/snapshots", body, version=version, status=202).json["snapshot"]
    cinder.settle(2)
    return dict(cinder.get(f"/snapshots/{made['id']}", version=version)["snapshot"])


def backup(cinder: Cinder, volume_id: str, **fields: Any) -> dict[str, Any]:
    body = {"backup": {"volume_id": volume_id, **fields}}
    made = cinder.call("POST", "/backups", body, version="3.43", status=202).json["backup"]
    cinder.settle(2)
    return dict(cinder.get(f"/backups/{made['id']}", version="3.43")["backup"])


# --- snapshots


def test_a_snapshot_keeps_what_was_there(cinder: Cinder) -> None:
    volume = cinder.volume()
    write(cinder, volume["id"], b"before")
    taken = snapshot(cinder, volume["id"], name="s", metadata={"a": "b"})
    assert taken["status"] == "available" and taken["os-extended-snapshot-attributes:progress"] == "100%"
    assert taken["os-extended-snapshot-attributes:project_id"] == cinder.project and taken["metadata"] == {"a": "b"}
    write(cinder, volume["id"], b"after!")
    made = cinder.volume(snapshot_id=taken["id"], size=2)
    assert read(cinder, made["id"], 6) == b"before" and made["snapshot_id"] == taken["id"]
    cinder.call("DELETE", f"/volumes/{volume['id']}", status=400)
    cinder.act(volume["id"], "revert", {"snapshot_id": taken["id"]}, version="3.40", status=202)
    cinder.settle(1)
    assert read(cinder, volume["id"], 6) == b"before"
    cinder.act(volume["id"], "revert", {"snapshot_id": "x"}, version="3.40", status=400)
    cinder.call("DELETE", f"/volumes/{volume['id']}?cascade=True", status=202)
    cinder.settle(3)
    cinder.call("GET", f"/snapshots/{taken['id']}", status=404)
    assert set(cinder.twin.engine.disks) == {made["id"]} and cinder.twin.left(made["id"]) == []


def test_snapshots_are_listed_changed_and_deleted(cinder: Cinder) -> None:
    volume = cinder.volume()
    one, two = snapshot(cinder, volume["id"], name="one"), snapshot(cinder, volume["id"], name="two")
    rows = cinder.get("/snapshots/detail?sort=name:asc")["snapshots"]
    assert [row["name"] for row in rows] == ["one", "two"]
    assert [row["id"] for row in cinder.get(f"/snapshots?name=two&volume_id={volume['id']}")["snapshots"]] == [
        two["id"]
    ]
    assert cinder.get("/snapshots?status=error")["snapshots"] == []
    assert cinder.get("/snapshots?availability_zone=x")["snapshots"] == []
    page = cinder.get("/snapshots?limit=1")
    assert len(page["snapshots"]) == 1 and page["snapshots_links"][0]["rel"] == "next"
    path = f"/snapshots/{one['id']}"
    assert cinder.call("PUT", path, {"snapshot": {"name": "x"}}, status=200).json["snapshot"]["name"] == "x"
    cinder.call("PUT", path, {"snapshot": {}}, status=400)
    assert cinder.call("POST", path + "/metadata", {"metadata": {"a": "1"}}, status=200).json["metadata"] == {"a": "1"}
    assert cinder.call("PUT", path + "/metadata", {"metadata": {"b": "2"}}, status=200).json["metadata"] == {"b": "2"}
    assert cinder.call("PUT", path + "/metadata/b", {"meta": {"b": "3"}}, status=200).json == {"meta": {"b": "3"}}
    cinder.call("PUT", path + "/metadata/b", {"meta": {"c": "3"}}, status=400)
    assert cinder.get(path + "/metadata/b") == {"meta": {"b": "3"}}
    cinder.call("DELETE", path + "/metadata/b", status=200)
    cinder.call("DELETE", path + "/metadata/b", status=404)
    assert cinder.get(path + "/metadata") == {"metadata": {}}
    for who, status in (("other", 404), ("reader", 403)):
        cinder.call("DELETE", path, who=who, status=status)
    cinder.call("DELETE", path, status=202)
    cinder.settle(1)
    cinder.call("GET", path, status=404)


def test_snapshots_are_refused(cinder: Cinder) -> None:
    volume = cinder.volume()
    cinder.call("POST", "/snapshots", {"snapshot": {}}, status=400)
    cinder.call("POST", "/snapshots", {"snapshot": {"volume_id": None}}, status=404)
    cinder.call("POST", "/snapshots", {"snapshot": {"volume_id": "x"}}, status=404)
    body = {"snapshot": {"volume_id": volume["id"], "force": False}}
    cinder.call("POST", "/snapshots", body, version="3.66", status=400)
    cinder.act(volume["id"], "os-reset_status", {"status": "error"}, who="admin", status=202)
    cinder.call("POST", "/snapshots", {"snapshot": {"volume_id": volume["id"]}}, status=400)
    cinder.act(volume["id"], "os-reset_status", {"status": "available"}, who="admin", status=202)
    cinder.call("PUT", f"/os-quota-sets/{cinder.project}", {"quota_set": {"snapshots": 0}}, who="admin", status=200)
    cinder.call("POST", "/snapshots", {"snapshot": {"volume_id": volume["id"]}}, status=413)


def test_states_of_snapshots(cinder: Cinder) -> None:
    taken = snapshot(cinder, cinder.volume()["id"])
    path = f"/snapshots/{taken['id']}"

    def act(action: str, value: Any, who: str, status: int) -> None:
        cinder.call("POST", path + "/action", {action: value}, who=who, status=status)

    act("os-reset_status", {"status": "error"}, "member", 403)
    act("os-reset_status", {"status": "creating"}, "admin", 202)
    cinder.call("DELETE", path, status=400)
    act("os-update_snapshot_status", {"status": "error", "progress": "80%"}, "member", 202)
    assert cinder.get(path)["snapshot"]["os-extended-snapshot-attributes:progress"] == "80%"
    act("os-update_snapshot_status", {"status": "error", "progress": "much"}, "member", 400)
    act("os-reset_status", {"status": "odd"}, "admin", 400)
    act("os-odd", {}, "admin", 400)
    act("os-force_delete", {}, "member", 403)
    act("os-force_delete", {}, "admin", 202)
    cinder.settle(1)
    cinder.call("GET", path, status=404)


def test_a_running_volume_is_copied_by_its_hypervisor(cinder: Cinder) -> None:
    volume = cinder.volume()
    write(cinder, volume["id"], b"live")
    cinder.volumes.reserve(volume["id"], cinder.project, SERVER, "req-1")
    cinder.volumes.attach(volume["id"], SERVER, "/dev/vdb", "req-1")
    cinder.twin.engine.busy.add(volume["id"])
    body = {"snapshot": {"volume_id": volume["id"]}}
    cinder.call("POST", "/snapshots", body, status=400)
    taken = snapshot(cinder, volume["id"], force=True)
    assert taken["status"] == "available" and read(cinder, taken["id"], 4) == b"live"
    assert snapshot(cinder, volume["id"], version="3.66")["status"] == "available"
    saved = backup(cinder, volume["id"], force=True)
    assert saved["status"] == "available" and saved["object_count"] == 1
    assert cinder.state(f"/volumes/{volume['id']}") == "in-use"
    cinder.act(volume["id"], "os-extend", {"new_size": 2}, status=400)
    cinder.act(volume["id"], "os-extend", {"new_size": 2}, version="3.42", status=202)
    cinder.settle(3)
    assert cinder.get(f"/volumes/{volume['id']}")["volume"]["size"] == 2
    assert cinder.state(f"/volumes/{volume['id']}") == "in-use" and cinder.twin.guests.jobs == {}
    assert cinder.twin.guests.told == [(SERVER, volume["id"], 2)]


# --- backups


def test_backups_bring_the_bytes_back(cinder: Cinder) -> None:
    volume = cinder.volume(name="v", metadata={"m": "1"})
    write(cinder, volume["id"], b"one", 0)
    write(cinder, volume["id"], b"two", 500 << 20)
    full = backup(cinder, volume["id"], name="full", metadata={"a": "b"})
    assert (full["status"], full["object_count"], full["is_incremental"], full["metadata"]) == (
        "available", 2, False, {"a": "b"},
    )  # fmt: skip
    write(cinder, volume["id"], b"TWO", 500 << 20)
    more = backup(cinder, volume["id"], incremental=True)
    assert more["object_count"] == 1 and more["is_incremental"]
    assert cinder.get(f"/backups/{full['id']}")["backup"]["has_dependent_backups"]
    cinder.call("DELETE", f"/backups/{full['id']}", status=400)
    answer = cinder.call("POST", f"/backups/{more['id']}/restore", {"restore": {"name": "back"}}, status=202).json
    assert answer["restore"]["volume_name"] == "back"
    assert cinder.state(f"/volumes/{answer['restore']['volume_id']}") == "restoring-backup"
    cinder.settle(1)
    back = cinder.get("/volumes/detail?name=back")["volumes"][0]
    assert back["status"] == "available" and back["metadata"] == {"m": "1"}
    assert read(cinder, back["id"], 3) == b"one" and read(cinder, back["id"], 3, 500 << 20) == b"TWO"
    write(cinder, back["id"], b"junk", 700 << 20)
    body = {"restore": {"volume_id": back["id"]}}
    cinder.call("POST", f"/backups/{full['id']}/restore", body, status=202)
    cinder.settle(1)
    assert read(cinder, back["id"], 3, 500 << 20) == b"two" and read(cinder, back["id"], 4, 700 << 20) == bytes(4)
    made = cinder.volume(version="3.47", backup_id=full["id"], size=2)
    assert made["status"] == "available" and read(cinder, made["id"], 3) == b"one"
    for one in (more, full):
        cinder.call("DELETE", f"/backups/{one['id']}", status=202)
        cinder.settle(1)
    assert cinder.twin.vault.held == {} and cinder.get("/backups")["backups"] == []


def test_an_incremental_backup_builds_upon_none_of_another_project(cinder: Cinder) -> None:
    volume = cinder.volume()
    write(cinder, volume["id"], b"one")
    assert backup(cinder, volume["id"])["status"] == "available"
    offer = cinder.call("POST", "/os-volume-transfer", {"transfer": {"volume_id": volume["id"]}}, status=202).json
    key = {"accept": {"auth_key": offer["transfer"]["auth_key"]}}
    cinder.call("POST", f"/os-volume-transfer/{offer['transfer']['id']}/accept", key, who="other", status=202)
    body = {"backup": {"volume_id": volume["id"], "incremental": True}}
    assert "make a full one first" in cinder.call("POST", "/backups", body, who="other", status=400).raw.decode()
    full = cinder.call("POST", "/backups", {"backup": {"volume_id": volume["id"]}}, who="other", status=202).json
    cinder.settle(2)
    more = cinder.call("POST", "/backups", body, who="other", status=202).json["backup"]["id"]
    cinder.settle(2)
    restore = {"restore": {"name": "back"}}
    cinder.call("POST", f"/backups/{more}/restore", restore, who="other", status=202)
    cinder.settle(2)
    back = cinder.get("/volumes/detail?name=back", who="other")["volumes"][0]
    assert back["status"] == "available" and read(cinder, back["id"], 3) == b"one"
    assert cinder.get(f"/backups/{full['backup']['id']}", who="other")["backup"]["has_dependent_backups"]


def test_a_backup_of_a_snapshot(cinder: Cinder) -> None:
    volume = cinder.volume()
    write(cinder, volume["id"], b"one")
    taken = snapshot(cinder, volume["id"])
    write(cinder, volume["id"], b"two")
    saved = backup(cinder, volume["id"], snapshot_id=taken["id"])
    assert saved["snapshot_id"] == taken["id"] and saved["data_timestamp"] == taken["created_at"]
    cinder.call("POST", f"/backups/{saved['id']}/restore", {"restore": {"volume_id": volume["id"]}}, status=202)
    cinder.settle(1)
    assert read(cinder, volume["id"], 3) == b"one"
    body = {"backup": {"volume_id": volume["id"], "snapshot_id": "x"}}
    cinder.call("POST", "/backups", body, status=404)


def test_backups_are_listed_and_changed(cinder: Cinder) -> None:
    volume = cinder.volume()
    one = backup(cinder, volume["id"], name="one", description="d", container="mine")
    assert one["container"] == "mine"
    backup(cinder, volume["id"], name="two")
    assert [b["name"] for b in cinder.get("/backups/detail?sort=name:asc")["backups"]] == ["one", "two"]
    assert [b["name"] for b in cinder.get(f"/backups?volume_id={volume['id']}&name=two")["backups"]] == ["two"]
    assert cinder.get("/backups?status=error")["backups"] == []
    path = f"/backups/{one['id']}"
    changed = cinder.call("PUT", path, {"backup": {"name": "x", "metadata": {"a": "b"}}}, version="3.43", status=200)
    assert changed.json["backup"]["name"] == "x" and changed.json["backup"]["metadata"] == {"a": "b"}
    cinder.call("PUT", path, {"backup": {}}, version="3.43", status=400)
    cinder.call("PUT", path, {"backup": {"name": "x"}}, status=404)
    told = cinder.get(path, who="admin", version="3.64")["backup"]
    assert told["os-backup-project-attr:project_id"] == cinder.project and told["encryption_key_id"] is None
    assert told["user_id"]
    for who, status in (("other", 404), ("reader", 403)):
        cinder.call("DELETE", path, who=who, status=status)


def test_backups_are_refused(cinder: Cinder) -> None:
    volume = cinder.volume()
    cinder.call("POST", "/backups", {"backup": {"volume_id": "x"}}, status=404)
    cinder.call("POST", "/backups", {"backup": {"volume_id": volume["id"], "incremental": True}}, status=400)
    body = {"backup": {"volume_id": volume["id"], "availability_zone": "x"}}
    cinder.call("POST", "/backups", body, version="3.51", status=400)
    saved = backup(cinder, volume["id"])
    small = {"restore": {"volume_id": volume["id"]}}
    cinder.act(volume["id"], "os-reset_status", {"status": "error"}, who="admin", status=202)
    cinder.call("POST", f"/backups/{saved['id']}/restore", small, status=400)
    cinder.call("POST", "/backups", {"backup": {"volume_id": volume["id"]}}, status=400)
    large = cinder.volume(size=2)
    big = backup(cinder, large["id"])
    cinder.act(volume["id"], "os-reset_status", {"status": "available"}, who="admin", status=202)
    cinder.call("POST", f"/backups/{big['id']}/restore", small, status=400)
    cinder.call("POST", f"/backups/{big['id']}/restore", {"restore": {"volume_id": "x"}}, status=404)
    body = {"volume": {"size": 1, "backup_id": big["id"]}}
    cinder.call("POST", "/volumes", body, version="3.47", status=400)
    cinder.call("PUT", f"/os-quota-sets/{cinder.project}", {"quota_set": {"backups": 0}}, who="admin", status=200)
    cinder.call("POST", "/backups", {"backup": {"volume_id": volume["id"]}}, status=413)


def test_a_damaged_backup_is_not_restored(cinder: Cinder) -> None:
    volume = cinder.volume()
    write(cinder, volume["id"], b"one")
    saved = backup(cinder, volume["id"])
    vault = cinder.twin.vault.held
    key = (cinder.project, f"{saved['id']}/0")
    kept, vault[key] = vault[key], b"forged" + bytes(1 << 20)[6:]
    for damage in ("forged", "missing", "manifest"):
        if damage == "missing":
            del vault[key]
        if damage == "manifest":
            vault[key] = kept
            vault[(cinder.project, f"{saved['id']}/manifest")] = b"junk"
        answer = cinder.call("POST", f"/backups/{saved['id']}/restore", {"restore": {}}, status=202).json["restore"]
        cinder.settle(1)
        told = cinder.get(f"/volumes/{answer['volume_id']}")["volume"]
        assert told["status"] == "error_restoring"
        assert cinder.state(f"/backups/{saved['id']}") == "available"
        assert (
            "damaged" in (fault := cinder.get(f"/backups/{saved['id']}")["backup"]["fail_reason"]) or "piece" in fault
        )


def test_records_are_exported_and_imported(cinder: Cinder) -> None:
    volume = cinder.volume()
    write(cinder, volume["id"], b"one")
    saved = backup(cinder, volume["id"])
    cinder.call("GET", f"/backups/{saved['id']}/export_record", status=403)
    record = cinder.get(f"/backups/{saved['id']}/export_record", who="admin")["backup-record"]
    assert record["backup_service"].startswith("cinder.backup.drivers")
    cinder.call("POST", "/backups/import_record", {"backup-record": record}, who="admin", status=400)
    facts = json.loads(base64.b64decode(record["backup_url"]))
    new_id = "99999999-9999-4999-8999-999999999999"

    def url(**changes: Any) -> dict[str, Any]:
        text = base64.b64encode(json.dumps({**facts, "id": new_id, **changes}).encode()).decode()
        return {"backup-record": {**record, "backup_url": text}}

    for bad in ({"size": "x"}, {"size": 0}, {"data_id": "../x"}, {"name": 7}, {"data_us": -1}):
        cinder.call("POST", "/backups/import_record", url(**bad), who="admin", status=400)
    for broken in ({"backup_service": "odd"}, {"backup_url": "%%%"}, {"backup_url": base64.b64encode(b"[]").decode()}):
        cinder.call("POST", "/backups/import_record", {"backup-record": {**record, **broken}}, who="admin", status=400)
    assert cinder.call("POST", "/backups/import_record", url(), who="admin", status=201).json["backup"]["id"] == new_id
    restored = cinder.call("POST", f"/backups/{new_id}/restore", {"restore": {}}, who="admin", status=202).json
    cinder.settle(1)
    assert read(cinder, restored["restore"]["volume_id"], 3) == b"one"
    cinder.call("DELETE", f"/backups/{new_id}", who="admin", status=202)
    cinder.settle(1)
    assert cinder.twin.vault.held
    cinder.call("DELETE", f"/backups/{saved['id']}", status=202)
    cinder.settle(1)
    assert cinder.twin.vault.held == {}


def test_states_of_backups(cinder: Cinder) -> None:
    volume = cinder.volume()
    made = cinder.call("POST", "/backups", {"backup": {"volume_id": volume["id"]}}, status=202).json["backup"]
    path = f"/backups/{made['id']}"
    assert cinder.state(f"/volumes/{volume['id']}") == "backing-up"
    cinder.call("DELETE", path, status=400)
    cinder.call("POST", path + "/action", {"os-reset_status": {"status": "error"}}, status=403)
    cinder.call("POST", path + "/action", {"os-reset_status": {"status": "odd"}}, who="admin", status=400)
    cinder.call("POST", path + "/action", {"os-reset_status": {"status": "error"}}, who="admin", status=202)
    assert cinder.state(f"/volumes/{volume['id']}") == "available"
    cinder.call("POST", path + "/restore", {"restore": {}}, status=400)
    cinder.call("GET", path + "/export_record", who="admin", status=400)
    cinder.call("POST", path + "/action", {"os-odd": {}}, who="admin", status=400)
    cinder.call("POST", path + "/action", {"os-force_delete": {}}, who="admin", status=202)
    cinder.settle(1)
    cinder.call("GET", path, status=404)
    again = cinder.call("POST", "/backups", {"backup": {"volume_id": volume["id"]}}, status=202).json["backup"]
    cinder.call("POST", f"/backups/{again['id']}/action", {"os-force_delete": {}}, who="admin", status=202)
    cinder.settle(1)
    assert cinder.state(f"/volumes/{volume['id']}") == "available"


# --- transfers


@pytest.mark.parametrize("path", ["/os-volume-transfer", "/volume-transfers"])
def test_a_volume_changes_hands(cinder: Cinder, path: str) -> None:
    version = "3.57"
    volume = cinder.volume()
    write(cinder, volume["id"], b"gift")
    snapshot(cinder, volume["id"])
    before = DISKS.find(cinder.db, id=volume["id"])
    body = {"transfer": {"volume_id": volume["id"], "name": "t"}}
    offer = cinder.call("POST", path, body, version=version, status=202).json["transfer"]
    assert offer["auth_key"] and offer["no_snapshots"] is False and offer["source_project_id"] == cinder.project
    assert cinder.state(f"/volumes/{volume['id']}") == "awaiting-transfer"
    cinder.call("POST", path, body, version=version, status=400)
    assert "auth_key" not in cinder.get(f"{path}/{offer['id']}", version=version)["transfer"]
    assert [t["id"] for t in cinder.get(f"{path}/detail", version=version)["transfers"]] == [offer["id"]]
    assert cinder.get(path, who="other", version=version)["transfers"] == []
    accept = f"{path}/{offer['id']}/accept"
    cinder.call("POST", accept, {"accept": {"auth_key": "wrong"}}, who="other", version=version, status=400)
    cinder.call("POST", f"{path}/x/accept", {"accept": {"auth_key": "k"}}, who="other", version=version, status=404)
    key = {"accept": {"auth_key": offer["auth_key"]}}
    taken = cinder.call("POST", accept, key, who="other", version=version, status=202).json["transfer"]
    assert taken["volume_id"] == volume["id"]
    cinder.call("GET", f"/volumes/{volume['id']}", status=404)
    assert cinder.get(f"/volumes/{volume['id']}", who="other")["volume"]["status"] == "available"
    assert len(cinder.get("/snapshots", who="other")["snapshots"]) == 1
    after = DISKS.find(cinder.db, id=volume["id"])
    assert before and after and after.key_id != before.key_id and after.project_id == cinder.hosted.other_project
    assert cinder.twin.keys.find(cinder.db, before.key_id).state == "destroyed"
    assert read(cinder, volume["id"], 4) == b"gift"
    cinder.call("POST", accept, key, who="other", version=version, status=404)


def test_a_snapshot_that_its_owner_kept_is_theirs_alone(cinder: Cinder) -> None:
    version, volume = "3.57", cinder.volume()
    write(cinder, volume["id"], b"mine")
    kept = snapshot(cinder, volume["id"])
    body = {"transfer": {"volume_id": volume["id"], "no_snapshots": True}}
    offer = cinder.call("POST", "/volume-transfers", body, version=version, status=202).json["transfer"]
    key, path = {"accept": {"auth_key": offer["auth_key"]}}, f"/volume-transfers/{offer['id']}/accept"
    cinder.call("POST", path, key, who="other", version=version, status=202)
    write(cinder, volume["id"], b"YOUR")
    wish = {"backup": {"volume_id": volume["id"], "snapshot_id": kept["id"]}}
    cinder.call("POST", "/backups", wish, who="other", status=404)
    cinder.act(volume["id"], "revert", {"snapshot_id": kept["id"]}, who="other", version=version, status=400)
    body = {"transfer": {"volume_id": volume["id"]}}
    again = cinder.call("POST", "/volume-transfers", body, who="other", version=version, status=202).json["transfer"]
    key, path = {"accept": {"auth_key": again["auth_key"]}}, f"/volume-transfers/{again['id']}/accept"
    cinder.call("POST", path, key, who="other", version=version, status=202)
    assert [row["id"] for row in cinder.get("/snapshots")["snapshots"]] == [kept["id"]]
    cinder.call("DELETE", f"/volumes/{volume['id']}", who="other", status=202)
    cinder.settle(2)
    cinder.call("GET", f"/volumes/{volume['id']}", who="other", status=404)
    assert cinder.get(f"/snapshots/{kept['id']}")["snapshot"]["status"] == "available"
    assert read(cinder, cinder.volume(snapshot_id=kept["id"])["id"], 4) == b"mine"


def test_an_offer_is_taken_back(cinder: Cinder) -> None:
    volume = cinder.volume()
    body = {"transfer": {"volume_id": volume["id"]}}
    offer = cinder.call("POST", "/os-volume-transfer", body, status=202).json["transfer"]
    cinder.call("DELETE", f"/os-volume-transfer/{offer['id']}", who="other", status=404)
    cinder.call("DELETE", f"/os-volume-transfer/{offer['id']}", status=202)
    assert cinder.state(f"/volumes/{volume['id']}") == "available"
    cinder.call("GET", f"/os-volume-transfer/{offer['id']}", status=404)
    cinder.call("GET", "/volume-transfers", status=404)


# --- attachments


def test_clients_that_attach_by_themselves(cinder: Cinder) -> None:
    volume = cinder.volume()
    path = f"/volumes/{volume['id']}"
    for action, state in (("os-reserve", "attaching"), ("os-unreserve", "available"), ("os-reserve", "attaching")):
        cinder.act(volume["id"], action, status=202)
        assert cinder.state(path) == state
    told = cinder.act(volume["id"], "os-initialize_connection", {"connector": {}}, status=200).json
    assert told["connection_info"]["driver_volume_type"] == "qcow2"
    cinder.act(volume["id"], "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"}, status=202)
    shown = cinder.get(path)["volume"]
    assert shown["status"] == "in-use" and shown["attachments"][0]["server_id"] == SERVER
    assert shown["attachments"][0]["device"] == "/dev/vdc"
    cinder.call("DELETE", path, status=400)
    for action, state in (("os-begin_detaching", "detaching"), ("os-roll_detaching", "in-use")):
        cinder.act(volume["id"], action, status=202)
        assert cinder.state(path) == state
    cinder.act(volume["id"], "os-terminate_connection", {"connector": {}}, status=202)
    cinder.act(volume["id"], "os-detach", {"attachment_id": "x"}, status=404)
    cinder.act(volume["id"], "os-detach", {"attachment_id": shown["attachments"][0]["attachment_id"]}, status=202)
    assert cinder.state(path) == "available"
    cinder.act(volume["id"], "os-detach", status=202)  # said twice
    cinder.act(volume["id"], "os-detach", {"attachment_id": "x"}, status=404)
    assert cinder.state(path) == "available"
    cinder.act(volume["id"], "os-reset_status", {"status": "error"}, who="admin", status=202)
    cinder.act(volume["id"], "os-detach", status=400)
    cinder.act(volume["id"], "os-reset_status", {"status": "available"}, who="admin", status=202)
    for bad in ({}, {"instance_uuid": SERVER, "host_name": "h", "mountpoint": "x"}, {"instance_uuid": SERVER},
                {"host_name": "h", "mountpoint": "x", "mode": "odd"}):  # fmt: skip
        cinder.act(volume["id"], "os-attach", bad, status=400)
    for action in ("os-unreserve", "os-begin_detaching", "os-roll_detaching"):
        cinder.act(volume["id"], action, status=400)
    cinder.act(volume["id"], "os-initialize_connection", {"connector": {}}, status=400)
    cinder.act(volume["id"], "os-initialize_connection", {}, status=400)
    cinder.act(volume["id"], "os-attach", {"host_name": "h", "mountpoint": "/dev/vdc"}, status=202)
    cinder.act(volume["id"], "os-force_detach", {}, status=403)
    cinder.act(volume["id"], "os-force_detach", {"connector": None}, who="admin", status=202)
    assert cinder.state(path) == "available"
    cinder.act(volume["id"], "os-update_readonly_flag", {"readonly": True}, status=202)
    cinder.act(volume["id"], "os-attach", {"host_name": "h", "mountpoint": "x", "mode": "rw"}, status=400)


def test_the_attachments_api(cinder: Cinder) -> None:
    volume, version = cinder.volume(), "3.54"
    body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": SERVER, "mode": "ro"}}
    cinder.call("POST", "/attachments", body, status=404)
    made = cinder.call("POST", "/attachments", body, version=version, status=200).json["attachment"]
    assert made["status"] == "reserved" and made["connection_info"] == {} and made["attach_mode"] == "ro"
    assert cinder.state(f"/volumes/{volume['id']}") == "reserved"
    cinder.call("POST", "/attachments", body, version=version, status=400)
    path = f"/attachments/{made['id']}"
    cinder.call("PUT", path, {"attachment": {}}, version=version, status=400)
    connector = {"attachment": {"connector": {"host": "h", "mountpoint": "/dev/vdb"}}}
    assert cinder.call("PUT", path, connector, version=version, status=200).json["attachment"]["status"] == "attaching"
    cinder.call("POST", path + "/action", {"os-odd": {}}, version=version, status=400)
    cinder.call("POST", path + "/action", {"os-complete": {}}, version=version, status=204)
    assert cinder.state(f"/volumes/{volume['id']}") == "in-use"
    cinder.call("PUT", path, connector, version=version, status=400)
    assert cinder.get(path, version=version)["attachment"]["instance"] == SERVER
    for query in ("", f"?volume_id={volume['id']}", "/detail", "/detail?status=attached"):
        assert len(cinder.get(f"/attachments{query}", version=version)["attachments"]) == 1
    assert cinder.get("/attachments?instance_id=x", version=version)["attachments"] == []
    cinder.call("GET", path, who="other", version=version, status=404)
    assert cinder.call("DELETE", path, version=version, status=200).json == {"attachments": []}
    assert cinder.state(f"/volumes/{volume['id']}") == "available"
    both = {"attachment": {**body["attachment"], "connector": {"host": "h"}}}
    assert cinder.call("POST", "/attachments", both, version=version, status=200).json["attachment"]["status"] == (
        "attaching"
    )
    for bad in ({"mode": "odd"}, {"connector": 7}):
        answer = cinder.call("POST", "/attachments", {"attachment": {**body["attachment"], **bad}}, version=version)
        assert answer.status == 400


def test_what_nova_holds_only_nova_gives_back(cinder: Cinder) -> None:
    volume = cinder.volume()
    service = cinder.volumes
    held = service.reserve(volume["id"], cinder.project, SERVER, "req-1")
    assert service.reserve.__doc__ and cinder.state(f"/volumes/{volume['id']}") == "reserved"
    with pytest.raises(Invalid):
        service.reserve(volume["id"], cinder.project, "another", "req-1")
    with pytest.raises(NotFound):
        service.reserve(volume["id"], "x" * 32, SERVER, "req-1")
    service.attach(volume["id"], SERVER, "/dev/vdb", "req-1")
    service.attach(volume["id"], SERVER, "/dev/vdb", "req-1")
    assert (
        [a.id for a in service.attachments(volume["id"])] == [a.id for a in service.attachments_of(SERVER)] == [held.id]
    )
    cinder.act(volume["id"], "os-detach", status=409)
    cinder.call("DELETE", f"/attachments/{held.id}", version="3.27", status=409)
    with pytest.raises(Invalid):
        service.delete(volume["id"], "req-1")
    service.begin_detaching(volume["id"], SERVER, "req-1")
    assert cinder.state(f"/volumes/{volume['id']}") == "detaching"
    service.roll_detaching(volume["id"], SERVER, "req-1")
    assert cinder.state(f"/volumes/{volume['id']}") == "in-use"
    for _ in range(2):
        service.detach(volume["id"], SERVER, "req-1")
    assert cinder.state(f"/volumes/{volume['id']}") == "available"
    for call in (service.attach, service.begin_detaching):
        with pytest.raises((Invalid, NotFound)):
            call(volume["id"], SERVER, *(("/dev/vdb",) if call == service.attach else ()), "req-1")
    taken = snapshot(cinder, volume["id"])
    assert service.delete(volume["id"], "req-1") is False and cinder.state(f"/volumes/{volume['id']}") == "available"
    cinder.call("DELETE", f"/snapshots/{taken['id']}", status=202)
    assert service.delete(volume["id"], "req-1") is True
    cinder.settle(1)
    assert service.delete(volume["id"], "req-1") is False
    service.detach(volume["id"], SERVER, "req-1")


def test_nova_does_its_part_in_one_transaction(cinder: Cinder) -> None:
    volume = cinder.volume()
    with pytest.raises(ZeroDivisionError), cinder.db.write() as tx:
        cinder.volumes.reserve(volume["id"], cinder.project, SERVER, "req-1", tx)
        raise ZeroDivisionError
    assert cinder.state(f"/volumes/{volume['id']}") == "available"
    assert ATTACHMENTS.select(cinder.db) == []


def test_one_volume_at_several_servers(cinder: Cinder) -> None:
    volume = cinder.volume(multiattach=True)
    service = cinder.volumes
    for server in (SERVER, "other"):
        service.reserve(volume["id"], cinder.project, server, "req-1")
        service.attach(volume["id"], server, "/dev/vdb", "req-1")
    with pytest.raises(Invalid):
        service.reserve(volume["id"], cinder.project, SERVER, "req-1")
    service.detach(volume["id"], SERVER, "req-1")
    assert cinder.state(f"/volumes/{volume['id']}") == "in-use"
    service.detach(volume["id"], "other", "req-1")
    assert cinder.state(f"/volumes/{volume['id']}") == "available"


def test_volumes_for_servers(cinder: Cinder) -> None:
    made = cinder.volumes.create_for(cinder.project, "u", VolumeWish(size=1, type="luks"), "req-1")
    cinder.settle(1)
    row = VOLUMES.find(cinder.db, id=made.id)
    assert row and row.state == "available" and row.zone == "nova"
    assert cinder.volumes.image_of(made.id) == {}
    stuck = cinder.volumes.create_for(cinder.project, "u", VolumeWish(size=1), "req-1")
    assert cinder.volumes.delete(stuck.id, "req-1")
    cinder.settle(1)
    assert VOLUMES.find(cinder.db, id=stuck.id) is None


def test_compute_makes_images_that_name_snapshots(cinder: Cinder) -> None:
    volume, site = cinder.volume(), cinder.hosted.site
    write(cinder, volume["id"], b"root")
    blocks, images = VolumesHere(site), ImagesHere(site)
    with pytest.raises(ZeroDivisionError), cinder.db.write() as tx:
        blocks.take_snapshot(volume["id"], ("user", "req-1"), "snapshot for image", tx)
        raise ZeroDivisionError
    assert cinder.get("/snapshots")["snapshots"] == []
    with cinder.db.write() as tx:
        taken = blocks.take_snapshot(volume["id"], ("user", "req-1"), "snapshot for image", tx)
        rows = json.dumps([{"boot_index": None, "snapshot_id": "x"}, {"boot_index": 0, "snapshot_id": taken}])
        told = {"block_device_mapping": rows, "min_disk": "1"}
        made = images.create_mapped(tx, (cinder.project, "user"), "image", told, "req-1")
    cinder.settle(2)
    assert cinder.get(f"/snapshots/{taken}")["snapshot"]["name"] == "snapshot for image"
    facts = images.find(made, cinder.project)
    assert (facts.status, facts.size, facts.min_disk) == ("active", 0, 1)
    assert facts.properties["block_device_mapping"] == rows


def test_a_volume_of_an_image_that_names_snapshots(cinder: Cinder) -> None:
    data = b"bytes of an image"
    whole = Picture("0000cafe-0000-4000-8000-000000000000", "whole", "active", size=len(data))
    cinder.twin.pictures.add(whole, data)
    volume = cinder.volume(imageRef=whole.id)
    taken = snapshot(cinder, volume["id"])
    named = json.dumps([{"boot_index": 1}, {"boot_index": 0, "snapshot_id": taken["id"]}])
    bare = Picture(SERVER, "bare", "active", properties={"block_device_mapping": named})
    cinder.twin.pictures.add(bare, b"")
    made = cinder.volume(imageRef=SERVER, size=2)
    assert made["snapshot_id"] == taken["id"] and made["bootable"] == "true"
    assert made["volume_image_metadata"] == volume["volume_image_metadata"]
    assert read(cinder, made["id"], len(data)) == data
    cinder.act(volume["id"], "os-reimage", {"image_id": SERVER}, version="3.68", status=400)
    for odd in ("[", "5", '[{"boot_index": 0}]', "[7]"):
        cinder.twin.pictures.add(replace(bare, properties={"block_device_mapping": odd}), b"")
        assert creation.mapped(cinder.twin.pictures.find(SERVER, "")) == ""


def test_a_disk_waits_while_it_is_copied(cinder: Cinder) -> None:
    volume = cinder.volume()
    disks = cinder.host.disks
    disks.open(volume["id"]).close()
    busy = [
        ("POST", "/snapshots", {"snapshot": {"volume_id": volume["id"]}}),
        ("POST", "/volumes", {"volume": {"source_volid": volume["id"]}}),
        ("POST", "/backups", {"backup": {"volume_id": volume["id"]}}),
        ("POST", f"/volumes/{volume['id']}/action", {"os-extend": {"new_size": 2}}),
        ("POST", f"/volumes/{volume['id']}/action", {"os-volume_upload_image": {"image_name": "i"}}),
    ]
    for method, path, body in busy:
        cinder.call(method, path, body, status=202)
        with pytest.raises(Unavailable):
            disks.open(volume["id"])
        cinder.settle(1)
        disks.open(volume["id"]).close()
