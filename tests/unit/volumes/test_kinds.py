"""Types, QoS specs, quotas, groups and what is told of the installation, through the API port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from andromede.app.hosting import leftovers
from andromede.app.hosting import volumes as hosting_volumes
from andromede.errors import NoCapacity
from andromede.volumes import quotas, scheduling
from andromede.volumes.engine import Room, Source
from andromede.volumes.model import VolumeType
from andromede.volumes.schema import DEFAULT_TYPE
from tests.unit.volumes.conftest import Cinder


def new_type(cinder: Cinder, name: str = "fast", **fields: Any) -> dict[str, Any]:
    body = {"volume_type": {"name": name, **fields}}
    return dict(cinder.call("POST", "/types", body, who="admin", status=200).json["volume_type"])


def test_types_of_the_first_day(cinder: Cinder) -> None:
    rows = cinder.get("/types")["volume_types"]
    assert {row["name"] for row in rows} == {"__DEFAULT__", "luks"}
    assert all(row["description"].startswith("[scs:encrypted]") for row in rows)
    assert all("qos_specs_id" not in row for row in rows)
    assert cinder.get("/types/default")["volume_type"]["id"] == DEFAULT_TYPE
    assert cinder.get("/types/luks")["volume_type"]["name"] == "luks"
    cinder.call("DELETE", f"/types/{DEFAULT_TYPE}", who="admin", status=400)


def test_types_come_and_go(cinder: Cinder) -> None:
    made = new_type(cinder, description="d", extra_specs={"a": "b", "multiattach": "<is> True"})
    assert set(made) == {"id", "name", "description", "is_public", "extra_specs", "os-volume-type-access:is_public"}
    path = f"/types/{made['id']}"
    cinder.call("POST", "/types", {"volume_type": {"name": "fast"}}, who="admin", status=409)
    cinder.call("POST", "/types", {"volume_type": {"name": "x"}}, status=403)
    for bad in ({}, {"name": ""}, {"name": " "}, {"name": "x" * 256}, {"name": "x", "extra_specs": {"a/b": "c"}}):
        cinder.call("POST", "/types", {"volume_type": bad}, who="admin", status=400)
    assert cinder.get(path)["volume_type"]["extra_specs"] == {"multiattach": "<is> True"}
    assert cinder.get(path, who="admin")["volume_type"]["qos_specs_id"] is None
    changed = cinder.call("PUT", path, {"volume_type": {"name": "y", "description": "e"}}, who="admin", status=200)
    assert changed.json["volume_type"]["name"] == "y"
    cinder.call("PUT", path, {"volume_type": {"name": "luks"}}, who="admin", status=409)
    cinder.call("PUT", path, {"volume_type": {}}, who="admin", status=400)
    volume = cinder.volume(volume_type="y")
    assert volume["multiattach"] is True
    cinder.call("DELETE", path, who="admin", status=400)
    cinder.call("DELETE", f"/volumes/{volume['id']}", status=202)
    cinder.settle(1)
    cinder.call("DELETE", path, who="admin", status=202)
    cinder.call("GET", path, status=404)


def test_extra_specs(cinder: Cinder) -> None:
    path = f"/types/{new_type(cinder)['id']}/extra_specs"
    more = cinder.call("POST", path, {"extra_specs": {"a": "1", "c:d": "2"}}, who="admin", status=200)
    assert more.json == {"extra_specs": {"a": "1", "c:d": "2"}}
    assert cinder.get(path)["extra_specs"] == {} and cinder.get(path, who="admin")["extra_specs"]["a"] == "1"
    assert cinder.get(path + "/a", who="admin") == {"a": "1"}
    cinder.call("GET", path + "/a", status=404)
    assert cinder.call("PUT", path + "/a", {"a": "2"}, who="admin", status=200).json == {"a": "2"}
    for bad in ({"b": "2"}, {"a": "1", "b": "2"}, {"a": 7}):
        cinder.call("PUT", path + "/a", bad, who="admin", status=400)
    for bad in ({}, {"extra_specs": {}}, {"extra_specs": []}):
        cinder.call("POST", path, bad, who="admin", status=400)
    cinder.call("DELETE", path + "/a", who="admin", status=202)
    for method in ("GET", "DELETE"):
        cinder.call(method, path + "/a", who="admin", status=404)


def test_private_types(cinder: Cinder) -> None:
    made = new_type(cinder, "secret", **{"os-volume-type-access:is_public": False})
    path = f"/types/{made['id']}"
    cinder.call("GET", path, status=404)
    assert {t["name"] for t in cinder.get("/types")["volume_types"]} == {"__DEFAULT__", "luks"}
    assert {t["name"] for t in cinder.get("/types?is_public=None", who="admin")["volume_types"]} > {"secret"}
    assert {t["name"] for t in cinder.get("/types?is_public=false", who="admin")["volume_types"]} == {"secret"}
    cinder.call("POST", "/volumes", {"volume": {"size": 1, "volume_type": made["id"]}}, status=404)
    access = {"addProjectAccess": {"project": cinder.project}}
    cinder.call("POST", path + "/action", access, who="admin", status=202)
    cinder.call("POST", path + "/action", access, who="admin", status=409)
    listed = cinder.get(path + "/os-volume-type-access", who="admin")["volume_type_access"]
    assert listed == [{"volume_type_id": made["id"], "project_id": cinder.project}]
    assert cinder.volume(volume_type="secret")["volume_type"] == "secret"
    away = {"removeProjectAccess": {"project": cinder.project}}
    cinder.call("POST", path + "/action", away, who="admin", status=202)
    cinder.call("POST", path + "/action", away, who="admin", status=404)
    cinder.call("POST", path + "/action", {"odd": {}}, who="admin", status=400)
    cinder.call("POST", "/types/luks/action", access, who="admin", status=409)
    cinder.call("GET", "/types/luks/os-volume-type-access", who="admin", status=404)


def test_a_private_type_stays_with_its_projects_when_a_volume_is_given_away(cinder: Cinder) -> None:
    made = new_type(cinder, "secret", **{"os-volume-type-access:is_public": False})
    access = {"addProjectAccess": {"project": cinder.project}}
    cinder.call("POST", f"/types/{made['id']}/action", access, who="admin", status=202)
    volume = cinder.volume(volume_type="secret")
    offer = cinder.call("POST", "/os-volume-transfer", {"transfer": {"volume_id": volume["id"]}}, status=202).json
    key = {"accept": {"auth_key": offer["transfer"]["auth_key"]}}
    cinder.call("POST", f"/os-volume-transfer/{offer['transfer']['id']}/accept", key, who="other", status=202)
    assert cinder.get(f"/volumes/{volume['id']}", who="other")["volume"]["volume_type"] == "__DEFAULT__"


def test_what_is_given_away_leaves_the_givers_groups(cinder: Cinder) -> None:
    version = "3.55"
    kind = cinder.call(
        "POST", "/group_types", {"group_type": {"name": "g"}}, who="admin", version=version, status=202
    ).json["group_type"]  # fmt: skip
    body = {"group": {"name": "g", "group_type": kind["id"], "volume_types": ["luks"]}}
    group = cinder.call("POST", "/groups", body, version=version, status=202).json["group"]
    volume = cinder.volume(version=version, group_id=group["id"], volume_type="luks")
    wish = {"group_snapshot": {"group_id": group["id"], "name": "s"}}
    taken = cinder.call("POST", "/group_snapshots", wish, version=version, status=202).json["group_snapshot"]
    cinder.settle(1)
    body = {"transfer": {"volume_id": volume["id"]}}
    offer = cinder.call("POST", "/volume-transfers", body, version=version, status=202).json["transfer"]
    key, path = {"accept": {"auth_key": offer["auth_key"]}}, f"/volume-transfers/{offer['id']}/accept"
    cinder.call("POST", path, key, who="other", version=version, status=202)
    cinder.call("DELETE", f"/group_snapshots/{taken['id']}", version=version, status=202)
    gone = {"delete": {"delete-volumes": True}}
    cinder.call("POST", f"/groups/{group['id']}/action", gone, version=version, status=202)
    cinder.settle(2)
    (kept,) = cinder.get("/snapshots/detail", who="other", version=version)["snapshots"]
    assert (kept["status"], kept["group_snapshot_id"]) == ("available", None)
    shown = cinder.get(f"/volumes/{volume['id']}", who="other", version=version)["volume"]
    assert (shown["status"], shown["group_id"]) == ("available", None)
    cinder.call("DELETE", f"/volumes/{volume['id']}?cascade=True", who="other", version=version, status=202)


def test_encryption_is_noted(cinder: Cinder) -> None:
    path = f"/types/{new_type(cinder)['id']}/encryption"
    assert cinder.get(path, who="admin") == {}
    note = {"provider": "luks", "cipher": "aes-xts-plain64", "key_size": 256, "control_location": "back-end"}
    made = cinder.call("POST", path, {"encryption": note}, who="admin", status=200).json["encryption"]
    assert {**note, **made} == made
    cinder.call("POST", path, {"encryption": note}, who="admin", status=400)
    cinder.call("POST", path, {"encryption": {**note, "control_location": "x"}}, who="admin", status=400)
    cinder.call("POST", path, {"encryption": {}}, who="admin", status=400)
    assert cinder.get(path, who="admin")["deleted"] is False
    assert cinder.get(path + "/cipher", who="admin") == {"cipher": "aes-xts-plain64"}
    cinder.call("GET", path + "/odd", who="admin", status=404)
    one = f"{path}/{made['encryption_id']}"
    changed = cinder.call("PUT", one, {"encryption": {"key_size": 512}}, who="admin", status=200).json["encryption"]
    assert changed["key_size"] == 512
    cinder.call("PUT", path + "/x", {"encryption": {"key_size": 512}}, who="admin", status=404)
    volume = cinder.volume(volume_type="fast")
    cinder.call("DELETE", one, who="admin", status=400)
    cinder.call("DELETE", f"/volumes/{volume['id']}", status=202)
    cinder.settle(1)
    cinder.call("DELETE", one, who="admin", status=202)
    cinder.call("DELETE", one, who="admin", status=404)


def test_default_types(cinder: Cinder) -> None:
    path, version = f"/default-types/{cinder.project}", "3.62"
    cinder.call("GET", path, who="admin", status=404)
    cinder.call("GET", path, who="admin", version=version, status=404)
    body = {"default_type": {"volume_type": "luks"}}
    cinder.call("PUT", path, body, who="admin", version=version, status=200)
    assert cinder.volume()["volume_type"] == "luks"
    assert len(cinder.get("/default-types", who="admin", version=version)["default_types"]) == 1
    assert cinder.get(path, who="admin", version=version)["default_type"]["project_id"] == cinder.project
    cinder.call("DELETE", path, who="admin", version=version, status=204)
    assert cinder.volume()["volume_type"] == "__DEFAULT__"
    made = new_type(cinder)
    cinder.call("PUT", path, {"default_type": {"volume_type": made["id"]}}, who="admin", version=version, status=200)
    cinder.call("DELETE", f"/types/{made['id']}", who="admin", status=202)
    assert cinder.get("/default-types", who="admin", version=version)["default_types"] == []


def test_qos_specs(cinder: Cinder) -> None:
    body = {"qos_specs": {"name": "q", "consumer": "front-end", "read_iops_sec": "100"}}
    made = cinder.call("POST", "/qos-specs", body, who="admin", status=200).json["qos_specs"]
    assert made["specs"] == {"read_iops_sec": "100"}
    cinder.call("POST", "/qos-specs", body, who="admin", status=409)
    cinder.call("POST", "/qos-specs", {"qos_specs": {"name": "r", "consumer": "x"}}, who="admin", status=400)
    cinder.call("GET", "/qos-specs", status=403)
    path = f"/qos-specs/{made['id']}"
    assert cinder.get(path, who="admin")["qos_specs"]["name"] == "q"
    assert len(cinder.get("/qos-specs?name=q", who="admin")["qos_specs"]) == 1
    more = {"qos_specs": {"write_iops_sec": "5", "consumer": "both"}}
    assert cinder.call("PUT", path, more, who="admin", status=200).json == more
    cinder.call("PUT", path + "/delete_keys", {"keys": ["write_iops_sec"]}, who="admin", status=202)
    for bad in ({"keys": ["x"]}, {"keys": 7}, {}):
        cinder.call("PUT", path + "/delete_keys", bad, who="admin", status=400)
    kind = new_type(cinder)
    cinder.call("GET", f"{path}/associate?vol_type_id={kind['id']}", who="admin", status=202)
    cinder.call("GET", f"{path}/associate", who="admin", status=400)
    cinder.call("GET", f"{path}/associate?vol_type_id=x", who="admin", status=404)
    assert cinder.get(path + "/associations", who="admin")["qos_associations"][0]["id"] == kind["id"]
    other = cinder.call("POST", "/qos-specs", {"qos_specs": {"name": "r"}}, who="admin", status=200).json["qos_specs"]
    cinder.call("GET", f"/qos-specs/{other['id']}/associate?vol_type_id={kind['id']}", who="admin", status=400)
    cinder.call("DELETE", path, who="admin", status=400)
    cinder.call("GET", f"{path}/disassociate?vol_type_id={kind['id']}", who="admin", status=202)
    cinder.call("GET", f"{path}/associate?vol_type_id={kind['id']}", who="admin", status=202)
    cinder.call("GET", f"{path}/disassociate_all", who="admin", status=202)
    assert cinder.get(path + "/associations", who="admin")["qos_associations"] == []
    cinder.call("DELETE", path + "?force=True", who="admin", status=202)
    cinder.call("GET", path, who="admin", status=404)


def test_quotas(cinder: Cinder) -> None:
    path = f"/os-quota-sets/{cinder.project}"
    defaults = cinder.get(path + "/defaults", who="admin")["quota_set"]
    assert defaults["volumes"] == 10 and defaults["volumes_luks"] == -1 and defaults["id"] == cinder.project
    cinder.volume(size=2, volume_type="luks")
    used = cinder.get(path + "?usage=True")["quota_set"]
    assert used["gigabytes"] == {"limit": 1000, "in_use": 2, "reserved": 0} and used["volumes_luks"]["in_use"] == 1
    cinder.call("GET", f"/os-quota-sets/{cinder.hosted.other_project}", status=403)
    cinder.call("PUT", path, {"quota_set": {"volumes": 5}}, status=403)
    body = {"quota_set": {"volumes": 5, "tenant_id": "x"}}
    assert cinder.call("PUT", path, body, who="admin", status=200).json["quota_set"]["volumes"] == 5
    for bad in ({"volumes": -2}, {"volumes": "x"}, {"odd": 1}, {"volumes": None}, {"volumes": 2**31}):
        cinder.call("PUT", path, {"quota_set": bad}, who="admin", status=400)
    limits = cinder.get("/limits")["limits"]["absolute"]
    assert (limits["maxTotalVolumes"], limits["totalVolumesUsed"], limits["totalGigabytesUsed"]) == (5, 1, 2)
    told = cinder.get(f"/limits?project_id={cinder.project}", who="admin", version="3.39")["limits"]["absolute"]
    assert told["totalVolumesUsed"] == 1
    cinder.call("DELETE", path, who="admin", status=200)
    assert cinder.get(path)["quota_set"]["volumes"] == 10
    assert cinder.get("/os-quota-class-sets/default", who="admin")["quota_class_set"]["volumes"] == 10
    body = {"quota_class_set": {"volumes": 7}}
    cinder.call("PUT", "/os-quota-class-sets/default", body, who="admin", status=200)
    cinder.call("PUT", "/os-quota-class-sets/odd", body, who="admin", status=400)
    assert cinder.get(path)["quota_set"]["volumes"] == 7 and quotas.DEFAULTS["volumes"] == 10


# --- groups


def test_groups_are_snapshotted_together(cinder: Cinder) -> None:
    version = "3.25"
    kind = cinder.call(
        "POST", "/group_types", {"group_type": {"name": "g", "group_specs": {"a": "b"}}}, who="admin", version="3.11",
        status=202,
    ).json["group_type"]  # fmt: skip
    body = {"group": {"name": "g", "group_type": kind["id"], "volume_types": ["luks"]}}
    cinder.call("POST", "/groups", body, status=404)
    group = cinder.call("POST", "/groups", body, version=version, status=202).json["group"]
    path = f"/groups/{group['id']}"
    volume = cinder.volume(version=version, group_id=group["id"], volume_type="luks")
    loose = cinder.volume()
    cinder.call("PUT", path, {"group": {"add_volumes": loose["id"], "name": "h"}}, version=version, status=202)
    shown = cinder.get(path + "?list_volume=True", version=version)["group"]
    assert set(shown["volumes"]) == {volume["id"], loose["id"]} and (shown["name"], shown["status"]) == (
        "h",
        "available",
    )
    cinder.call("DELETE", f"/volumes/{volume['id']}", status=400)
    for bad in ({}, {"add_volumes": "x"}, {"remove_volumes": "x"}):
        cinder.call("PUT", path, {"group": bad}, version=version, status=400)
    wish = {"group_snapshot": {"group_id": group["id"], "name": "s"}}
    taken = cinder.call("POST", "/group_snapshots", wish, version=version, status=202).json["group_snapshot"]
    cinder.settle(1)
    snap = f"/group_snapshots/{taken['id']}"
    assert cinder.get(snap, version=version)["group_snapshot"]["status"] == "available"
    assert len(cinder.get(f"/snapshots?group_snapshot_id={taken['id']}", version=version)["snapshots"]) == 2
    one = cinder.get("/snapshots", version=version)["snapshots"][0]
    cinder.call("DELETE", f"/snapshots/{one['id']}", status=400)
    for source in ({"group_snapshot_id": taken["id"]}, {"source_group_id": group["id"]}):
        made = cinder.call(
            "POST", "/groups/action", {"create-from-src": {"name": "c", **source}}, version=version, status=202
        ).json["group"]  # fmt: skip
        assert cinder.get(f"/groups/{made['id']}", version=version)["group"]["status"] == "creating"
        cinder.settle(1)
        assert cinder.get(f"/groups/{made['id']}", version=version)["group"]["status"] == "available"
        cinder.call("POST", f"/groups/{made['id']}/action", {"delete": {}}, version=version, status=400)
        gone = {"delete": {"delete-volumes": True}}
        cinder.call("POST", f"/groups/{made['id']}/action", gone, version=version, status=202)
        cinder.settle(1)
    assert len(cinder.get("/groups/detail?status=available", version=version)["groups"]) == 1
    assert cinder.get("/groups?name=x", version=version)["groups"] == []
    assert len(cinder.get("/group_snapshots/detail?status=available", version=version)["group_snapshots"]) == 1
    cinder.call("PUT", snap, {"group_snapshot": {"name": "n"}}, version=version, status=200)
    assert cinder.get("/group_snapshots", version=version)["group_snapshots"][0]["name"] == "n"
    gone = {"delete": {"delete-volumes": True}}
    cinder.call("POST", path + "/action", gone, version=version, status=400)
    cinder.call("DELETE", snap, version=version, status=202)
    cinder.settle(1)
    cinder.call("PUT", path, {"group": {"remove_volumes": loose["id"]}}, version=version, status=202)
    cinder.call("POST", path + "/action", gone, version=version, status=202)
    cinder.settle(1)
    cinder.call("GET", path, version=version, status=404)
    assert cinder.twin.left(loose["id"]) == []


def test_states_and_refusals_of_groups(cinder: Cinder) -> None:
    version = "3.38"
    kind = {"group_type": {"name": "g", "is_public": False}}
    made = cinder.call("POST", "/group_types", kind, who="admin", version=version, status=202).json["group_type"]
    path = f"/group_types/{made['id']}"
    cinder.call("POST", "/group_types", kind, who="admin", version=version, status=409)
    cinder.call("GET", path, version=version, status=404)
    cinder.call("GET", "/group_types/default", version=version, status=404)
    assert cinder.get("/group_types", version=version)["group_types"] == []
    for query, count in (("?is_public=None", 1), ("?is_public=False", 1), ("", 0)):
        assert len(cinder.get(f"/group_types{query}", who="admin", version=version)["group_types"]) == count
    specs = path + "/group_specs"
    cinder.call("POST", specs, {"group_specs": {"a": "1"}}, who="admin", version=version, status=202)
    assert cinder.get(specs, who="admin", version=version) == {"group_specs": {"a": "1"}}
    assert cinder.call("PUT", specs + "/a", {"a": "2"}, who="admin", version=version, status=200).json == {"a": "2"}
    cinder.call("PUT", specs + "/a", {"b": "2"}, who="admin", version=version, status=400)
    assert cinder.get(specs + "/a", who="admin", version=version) == {"a": "2"}
    cinder.call("DELETE", specs + "/a", who="admin", version=version, status=202)
    cinder.call("GET", specs + "/a", who="admin", version=version, status=404)
    change = {"group_type": {"name": "default_cgsnapshot_type", "description": "d", "is_public": True}}
    cinder.call("PUT", path, change, who="admin", version=version, status=200)
    cinder.call("PUT", path, {"group_type": {}}, who="admin", version=version, status=400)
    assert cinder.get("/group_types/default", version=version)["group_type"]["id"] == made["id"]
    other = cinder.call("POST", "/group_types", kind, who="admin", version=version, status=202).json["group_type"]
    cinder.call(
        "PUT", f"/group_types/{other['id']}", {"group_type": {"name": "default_cgsnapshot_type"}}, who="admin",
        version=version, status=409,
    )  # fmt: skip
    cinder.call("DELETE", f"/group_types/{other['id']}", who="admin", version=version, status=202)
    for bad in ({"volume_types": []}, {"volume_types": ["luks"]}, {"group_type": made["id"], "volume_types": [7]}):
        cinder.call("POST", "/groups", {"group": bad}, version=version, status=400)
    body = {"group": {"name": "g", "group_type": made["id"], "volume_types": ["luks"]}}
    group = cinder.call("POST", "/groups", body, version=version, status=202).json["group"]
    cinder.call("DELETE", path, who="admin", version=version, status=400)
    act = f"/groups/{group['id']}/action"
    for status in ("creating", "error", "available"):
        cinder.call("POST", act, {"reset_status": {"status": status}}, who="admin", version=version, status=202)
        assert cinder.get(f"/groups/{group['id']}", version=version)["group"]["status"] == status
    cinder.call("POST", act, {"reset_status": {"status": "odd"}}, who="admin", version=version, status=400)
    cinder.call("POST", act, {"reset_status": {"status": "error"}}, version=version, status=403)
    for word in ("enable_replication", "odd"):
        cinder.call("POST", act, {word: {}}, who="admin", version=version, status=400)
    wish = {"group_snapshot": {"group_id": group["id"]}}
    cinder.call("POST", "/group_snapshots", wish, version=version, status=400)
    cinder.volume(version=version, group_id=group["id"])
    taken = cinder.call("POST", "/group_snapshots", wish, version=version, status=202).json["group_snapshot"]
    snap = f"/group_snapshots/{taken['id']}/action"
    cinder.call("POST", snap, {"reset_status": {"status": "error"}}, who="admin", version=version, status=202)
    told = cinder.get(f"/group_snapshots/{taken['id']}", version=version)["group_snapshot"]
    assert told["status"] == "error"
    for bad in ({"reset_status": {"status": "odd"}}, {"odd": {}}):
        cinder.call("POST", snap, bad, who="admin", version=version, status=400)
    for bad in ({"odd": {}}, {"create-from-src": {}}):
        cinder.call("POST", "/groups/action", bad, version=version, status=400)
    cinder.call("PUT", f"/os-quota-sets/{cinder.project}", {"quota_set": {"groups": 0}}, who="admin", status=200)
    cinder.call("POST", "/groups", body, version=version, status=413)


# --- the installation


def test_what_the_installation_tells_of_itself(cinder: Cinder) -> None:
    assert cinder.get("/os-availability-zone")["availabilityZoneInfo"][0]["zoneName"] == "nova"
    assert {"backups", "qos-specs"} <= {e["alias"] for e in cinder.get("/extensions")["extensions"]}
    assert cinder.get("/os-services", who="admin") == {"services": []}
    hosting_volumes.seen(cinder.hosted.site)
    cinder.call("GET", "/os-services", status=403)
    rows = cinder.get("/os-services", who="admin", version="3.49")["services"]
    assert {row["binary"] for row in rows} == {"cinder-volume", "cinder-backup", "cinder-scheduler"}
    assert all(row["state"] == "up" for row in rows) and "cluster" in rows[0]
    backend = next(row["host"] for row in rows if row["binary"] == "cinder-volume")
    assert len(cinder.get(f"/os-services?host={backend}", who="admin")["services"]) == 1
    assert len(cinder.get("/os-services?binary=cinder-backup", who="admin")["services"]) == 1
    cinder.clock.advance(120)
    assert all(row["state"] == "down" for row in cinder.get("/os-services", who="admin")["services"])
    assert {h["host_name"] for h in cinder.get("/os-hosts", who="admin")["hosts"]} >= {backend}
    volume = cinder.volume(size=2)
    told = cinder.get(f"/os-hosts/{backend}", who="admin")["host"]
    assert told[0]["resource"]["total_volume_gb"] == "2" and told[1]["resource"]["project"] == cinder.project
    cinder.call("GET", "/os-hosts/odd", who="admin", status=404)
    pools = cinder.get("/scheduler-stats/get_pools?detail=True", who="admin")["pools"]
    assert pools[0]["capabilities"]["storage_protocol"] == "qcow2"
    assert cinder.get("/scheduler-stats/get_pools", who="admin")["pools"] == [{"name": pools[0]["name"]}]
    assert cinder.get("/scheduler-stats/get_pools?name=x", who="admin")["pools"] == []
    cinder.call("GET", "/scheduler-stats/get_pools?volume_type=x", who="admin", status=404)
    assert cinder.get(f"/capabilities/{backend}", who="admin")["vendor_name"] == "Andromede"
    cinder.call("GET", "/capabilities/odd", who="admin", status=404)
    for path in ("/clusters", "/clusters/detail"):
        assert cinder.get(path, who="admin", version="3.7") == {"clusters": []}
    assert volume["status"] == "available"


def test_services_are_disabled_and_enabled(cinder: Cinder) -> None:
    hosting_volumes.seen(cinder.hosted.site)
    row = cinder.get("/os-services?binary=cinder-volume", who="admin")["services"][0]
    body = {"host": row["host"], "binary": "cinder-volume"}

    def change(what: str, status: int, **more: Any) -> Any:
        return cinder.call("PUT", f"/os-services/{what}", {**body, **more}, who="admin", status=status)

    assert change("disable", 200).json["status"] == "disabled"
    assert change("disable-log-reason", 200, disabled_reason="why").json["disabled_reason"] == "why"
    assert cinder.get("/os-services?binary=cinder-volume", who="admin")["services"][0]["disabled_reason"] == "why"
    assert change("enable", 200).json["disabled"] is False
    change("disable-log-reason", 400)
    change("odd", 404)
    change("enable", 404, binary="odd")
    for what in ("freeze", "thaw", "failover_host"):
        change(what, 400)
        change(what, 400, host="odd")
    change("set-log", 501)


def test_volumes_of_servers_that_are_gone_are_free_again(cinder: Cinder) -> None:
    site, volume, client = cinder.hosted.site, cinder.volume(), cinder.volume()
    cinder.volumes.reserve(volume["id"], cinder.project, "gone", "req-1")
    cinder.volumes.attach(volume["id"], "gone", "/dev/vdb", "req-1")
    cinder.volumes.begin_detaching(volume["id"], "gone", "req-1")
    cinder.act(client["id"], "os-attach", {"instance_uuid": "gone", "mountpoint": "/dev/vdb"}, status=202)
    hosting_volumes.let_go(site)
    assert cinder.state(f"/volumes/{volume['id']}") == "detaching"  # it may be on its way in
    cinder.clock.advance(60)
    hosting_volumes.let_go(site)
    assert cinder.state(f"/volumes/{volume['id']}") == "available"
    assert cinder.state(f"/volumes/{client['id']}") == "in-use"
    cinder.act(client["id"], "os-reset_status", {"status": "error"}, who="admin", status=202)
    cinder.act(client["id"], "os-force_detach", {}, who="admin", status=202)
    assert cinder.state(f"/volumes/{client['id']}") == "available"


def test_fsck_misses_files(cinder: Cinder) -> None:
    kept, lost = cinder.volume(), cinder.volume()
    assert leftovers.missing(cinder.hosted.site) == []
    del cinder.twin.engine.disks[lost["id"]]
    found = leftovers.missing(cinder.hosted.site)
    assert [finding["subject"] for finding in found] == [f"volume {lost['id']}"] and kept["id"]


def test_an_empty_id_is_not_found(cinder: Cinder) -> None:
    for method in ("GET", "PUT", "DELETE"):
        cinder.call(method, "/volumes/", {"volume": {}}, status=404)


def test_little_room_raises_an_alert(cinder: Cinder) -> None:
    cinder.twin.engine.left = Room(1, 1000)
    hosting_volumes.seen(cinder.hosted.site)
    assert "volumes.room" in cinder.hosted.log.getvalue()
    made = cinder.volume()
    assert made["status"] == "error"
    assert "storage is full" in cinder.get("/messages", version="3.3")["messages"][0]["user_message"]


def test_a_disabled_backend_takes_no_volumes(cinder: Cinder) -> None:
    hosting_volumes.seen(cinder.hosted.site)
    host = cinder.get("/os-services?binary=cinder-volume", who="admin")["services"][0]["host"]
    body = {"host": host, "binary": "cinder-volume"}
    cinder.call("PUT", "/os-services/disable", body, who="admin", status=200)
    assert cinder.volume()["status"] == "error"
    cinder.call("PUT", "/os-services/enable", body, who="admin", status=200)
    assert cinder.volume()["status"] == "available"


@pytest.mark.parametrize(
    ("specs", "fits"),
    [
        ({}, True),
        ({"vendor_name": "andromede"}, True),
        ({"capabilities:volume_backend_name": "qcow2"}, True),
        ({"capabilities:volume_backend_name": "lvm"}, False),
        ({"multiattach": "<is> True"}, True),
        ({"replication_enabled": "<is> True"}, False),
        ({"storage_protocol": "<in> cow"}, True),
        ({"storage_protocol": "<or> iSCSI <or> qcow2"}, True),
        ({"other:vendor_name": "x"}, True),
        ({"anything": "x"}, True),
    ],
)
def test_types_are_matched_with_the_backend(specs: dict[str, str], fits: bool) -> None:
    kind = VolumeType("t", "t", None, True, specs, "", {}, 0, None)
    if fits:
        scheduling.check(kind)
    else:
        with pytest.raises(NoCapacity):
            scheduling.check(kind)


def test_a_base_stays_while_disks_lie_on_it(cinder: Cinder, tmp_path: Path) -> None:
    base = tmp_path / "base.qcow2"
    base.write_bytes(b"x")
    disks, engine = cinder.host.disks, cinder.twin.engine
    for disk_id in ("aa", "bb"):
        disks.create_root(cinder.project, disk_id, 1 << 30, "req-1", Source(base))
        disks.create_root(cinder.project, disk_id, 1 << 30, "req-1", Source(base))
    disks.remove("aa", "req-1")
    assert engine.bases == {str(base)}
    disks.remove("bb", "req-1")
    assert engine.bases == set() and cinder.twin.left() == []
    disks.create_root(cinder.project, "cc", 1 << 30, "req-1", None)
    disks.grow("cc", 2 << 30)
    found = disks.observe("cc")
    assert found and found.size == 2 << 30 and disks.value("cc").size == 2 << 30 and disks.room().total
