"""Volumes through the API port: what is made, shown, listed, changed and refused."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from andromede.volumes import snapshot_routes, type_routes, volume_routes
from andromede.volumes.ports import Picture
from andromede.volumes.tables import VOLUMES
from tests.unit.volumes.conftest import Cinder

KEYS = {
    "attachments", "links", "encrypted", "updated_at", "replication_status", "id", "size", "user_id",
    "availability_zone", "metadata", "status", "description", "multiattach", "consistencygroup_id", "name",
    "bootable", "created_at", "volume_type", "snapshot_id", "source_volid",
}  # fmt: skip


def test_versions_are_told(cinder: Cinder) -> None:
    answer = cinder.hosted.call("GET", "/volume/", None)
    assert answer.status == 300
    told = answer.json["versions"][0]
    assert (told["id"], told["version"], told["min_version"], told["status"]) == ("v3.0", "3.71", "3.0", "CURRENT")
    assert cinder.hosted.call("GET", "/volume/v3/", None).json["versions"] == [told]
    answer = cinder.call("GET", "/volumes", version="3.13")
    assert answer.headers["openstack-api-version"] == "volume 3.13"
    refused = cinder.call("GET", "/volumes", version="3.99")
    assert refused.status == 406 and refused.json["computeFault"]["code"] == 406


def test_a_volume_is_made_shown_renamed_and_deleted(cinder: Cinder) -> None:
    body = {"volume": {"size": "2", "name": " data ", "description": "d", "metadata": {"a": "b"}}}
    made = cinder.call("POST", f"/{cinder.project}/volumes", body, status=202).json["volume"]
    assert set(made) == KEYS | {"migration_status"} and made["status"] == "creating"
    assert (made["name"], made["size"], made["bootable"], made["encrypted"]) == ("data", 2, "false", True)
    assert made["volume_type"] == "__DEFAULT__" and made["links"][0]["href"].startswith("http://cloud.test/volume/v3/")
    cinder.settle(1)
    shown = cinder.get(f"/volumes/{made['id']}")["volume"]
    assert set(shown) == KEYS | {"os-vol-tenant-attr:tenant_id"} and shown["status"] == "available"
    told = cinder.get(f"/volumes/{made['id']}", who="admin")["volume"]
    assert "@qcow2#local" in told["os-vol-host-attr:host"]
    changed = cinder.call(
        "PUT", f"/volumes/{made['id']}", {"volume": {"name": "x", "metadata": {"c": "d"}}}, status=200
    )
    assert (changed.json["volume"]["name"], changed.json["volume"]["metadata"]) == ("x", {"c": "d"})
    assert len(cinder.twin.engine.disks) == 1
    cinder.call("DELETE", f"/volumes/{made['id']}", status=202)
    assert cinder.state(f"/volumes/{made['id']}") == "deleting"
    cinder.settle(1)
    cinder.call("GET", f"/volumes/{made['id']}", status=404)
    assert cinder.twin.left() == [] and not cinder.twin.engine.disks


def test_newer_versions_show_more(cinder: Cinder) -> None:
    shown = cinder.volume(version="3.71")
    assert {"group_id", "service_uuid", "shared_targets", "volume_type_id", "encryption_key_id"} <= set(shown)
    assert shown["consumes_quota"] is True and "provider_id" not in shown
    told = cinder.get(f"/volumes/{shown['id']}", who="admin", version="3.71")["volume"]
    assert told["provider_id"] is None and told["cluster_name"] is None


def test_strangers_find_nothing(cinder: Cinder) -> None:
    made = cinder.volume()
    for method, path in (
        ("GET", ""), ("DELETE", ""), ("GET", "/metadata"), ("PUT", ""), ("POST", "/action"),
    ):  # fmt: skip
        cinder.call(method, f"/volumes/{made['id']}{path}", {"volume": {}}, who="other", status=404)
    assert cinder.get("/volumes", who="other")["volumes"] == []
    assert cinder.get(f"/volumes?all_tenants=1&name={made['name']}", who="other")["volumes"] == []
    cinder.call("GET", f"/{cinder.project}/volumes", who="other", status=400)
    cinder.call("DELETE", f"/volumes/{made['id']}", who="reader", status=403)
    cinder.call("GET", f"/volumes/{made['id']}", who="reader", status=200)
    assert len(cinder.get("/volumes/detail?all_tenants=1", who="admin")["volumes"]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0}, {"size": -1}, {"size": "x"}, {"size": 1.5}, {"size": ""}, {"size": None}, {"size": 10**9},
        {"size": True}, {"name": "n" * 256}, {"name": 7}, {"metadata": []}, {"metadata": {"": "x"}},
        {"metadata": {"k": 1}}, {"metadata": {"k" * 256: "v"}}, {"metadata": {"k": "v" * 256}}, {"volume_type": 7},
        {"availability_zone": "mars"}, {"multiattach": "perhaps"}, {"backup_id": "x"},
        {"imageRef": "a", "snapshot_id": "b"},
    ],
)  # fmt: skip
def test_bad_wishes_are_refused(cinder: Cinder, fields: dict[str, Any]) -> None:
    answer = cinder.call("POST", "/volumes", {"volume": {"size": 1, **fields}})
    assert answer.status == 400, answer.raw
    assert answer.json["badRequest"]["code"] == 400


def test_what_does_not_exist_is_not_found(cinder: Cinder) -> None:
    for fields in ({"snapshot_id": "x"}, {"source_volid": "x"}, {"imageRef": "x"}, {"volume_type": "x"}):
        cinder.call("POST", "/volumes", {"volume": {"size": 1, **fields}}, status=404)
    cinder.call("POST", "/volumes", {"volume": {"size": 1, "group_id": "x"}}, version="3.13", status=404)
    cinder.call("POST", "/volumes", {"volume": {"size": 1, "backup_id": "x"}}, version="3.47", status=404)


def test_unknown_keys_are_refused_from_3_53_on(cinder: Cinder) -> None:
    body = {"volume": {"size": 1, "colour": "red"}}
    cinder.call("POST", "/volumes", body, status=202)
    cinder.call("POST", "/volumes", body, version="3.53", status=400)
    for body in ({}, {"volume": []}, {"volume": None}, {"x": 1}):
        cinder.call("POST", "/volumes", body, status=400)
    cinder.call("POST", "/volumes", {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": 7}, status=400)


def test_lists_have_pages_that_lead_on(cinder: Cinder) -> None:
    ids = []
    for number in range(4):
        ids.append(cinder.volume(name=f"v{number}")["id"])
        cinder.clock.advance(1)
    newest = list(reversed(ids))
    assert [v["id"] for v in cinder.get("/volumes")["volumes"]] == newest
    seen, path = [], "/volumes/detail?limit=2&sort=created_at:desc"
    while True:
        page = cinder.get(path)
        seen += [v["id"] for v in page["volumes"]]
        if "volumes_links" not in page:
            break
        parts = urlsplit(page["volumes_links"][0]["href"])
        assert parts.path == "/volume/v3/volumes/detail" and parse_qs(parts.query)["limit"] == ["2"]
        path = f"/volumes/detail?{parts.query}"
    assert seen == newest
    assert cinder.get("/volumes?limit=0")["volumes"] == []
    assert [v["id"] for v in cinder.get("/volumes?offset=1&limit=1")["volumes"]] == [newest[1]]
    assert [v["name"] for v in cinder.get("/volumes?sort=display_name:asc")["volumes"]] == ["v0", "v1", "v2", "v3"]
    assert [v["id"] for v in cinder.get("/volumes?sort_key=name&sort_dir=desc")["volumes"]] == newest
    assert cinder.get("/volumes?with_count=true&limit=1", version="3.45")["count"] == 4
    for bad in ("limit=-1", "limit=x", "offset=-1", "sort=colour", "sort=name:up", "sort=name&sort_key=id",
                "offset=99999999999999999999"):  # fmt: skip
        cinder.call("GET", f"/volumes?{bad}", status=400)
    cinder.call("GET", "/volumes?marker=nothing", status=404)


def test_filters_are_honoured(cinder: Cinder) -> None:
    red = cinder.volume(name="red", metadata={"k": "1", "l": "2"})
    blue = cinder.volume(name="blue", metadata={"k": "1"}, multiattach=True)

    def named(query: str, version: str = "3.0", who: str = "member") -> set[str]:
        return {v["name"] for v in cinder.get(f"/volumes/detail?{query}", version=version, who=who)["volumes"]}

    assert named("name=red") == {"red"} and named("name=none") == set()
    assert named("status=AVAILABLE") == {"red", "blue"} and named("status=error") == set()
    assert named("availability_zone=nova") == {"red", "blue"} and named("availability_zone=x") == set()
    assert named("metadata=" + quote(json.dumps({"l": "2"}))) == {"red"}
    assert named("metadata=" + quote("{'k': '1'}")) == {"red", "blue"}
    assert named("bootable=true") == set() and named("bootable=0") == {"red", "blue"}
    assert named("multiattach=True") == {"blue"} and named("volume_type=__DEFAULT__") == {"red", "blue"}
    assert named("volume_type=luks") == set() and named("attach_status=detached") == {"red", "blue"}
    assert named("attach_status=attached") == set() and named("host=elsewhere") == set()
    assert named("name~=re", "3.34") == {"red"} and named("id=" + red["id"]) == {"red"}
    assert named("created_at=gt:2025-01-01T00:00:00", "3.60") == {"red", "blue"}
    assert named("created_at=lt:2025-01-01T00:00:00Z", "3.60") == set()
    assert named("consumes_quota=true", "3.65") == {"red", "blue"} and named("a=b") == {"red", "blue"}
    assert named(f"all_tenants=1&project_id={cinder.project}", who="admin") == {"red", "blue"}
    assert named("all_tenants=1&project_id=x", who="admin") == set()
    assert named("name=red&status=available&limit=1") == {"red"} and blue["multiattach"]
    for bad in ("metadata=x", "bootable=maybe", "metadata=7"):
        cinder.call("GET", f"/volumes?{bad}", status=400)
    cinder.call("GET", "/volumes?a=b", version="3.31", status=400)
    cinder.call("GET", "/volumes?created_at=soon", version="3.60", status=400)
    cinder.call("GET", "/volumes?all_tenants=perhaps", who="admin", status=400)
    found = cinder.get("/resource_filters", version="3.33")["resource_filters"]
    assert {"volume", "snapshot", "backup"} == {one["resource"] for one in found}
    cinder.call("GET", "/resource_filters", status=404)


def test_the_summary_adds_up(cinder: Cinder) -> None:
    cinder.volume(size=2, metadata={"a": "1"})
    cinder.volume(metadata={"a": "2"})
    cinder.call("GET", "/volumes/summary", status=404)
    assert cinder.get("/volumes/summary", version="3.12") == {"volume-summary": {"total_count": 2, "total_size": 3}}
    told = cinder.get("/volumes/summary", version="3.36")["volume-summary"]
    assert told["metadata"] == {"a": ["1", "2"]}


def test_metadata(cinder: Cinder) -> None:
    path = f"/volumes/{cinder.volume(metadata={'a': '1'})['id']}/metadata"
    assert cinder.call("POST", path, {"metadata": {"b": "2"}}, status=200).json["metadata"] == {"a": "1", "b": "2"}
    assert cinder.call("PUT", path, {"metadata": {"c": "3"}}, status=200).json["metadata"] == {"c": "3"}
    assert cinder.get(path + "/c") == {"meta": {"c": "3"}}
    assert cinder.call("PUT", path + "/c", {"meta": {"c": "4"}}, status=200).json == {"meta": {"c": "4"}}
    cinder.call("PUT", path + "/c", {"meta": {"d": "4"}}, status=400)
    cinder.call("PUT", path + "/c", {}, status=400)
    cinder.call("DELETE", path + "/c", status=200)
    cinder.call("DELETE", path + "/c", status=404)
    cinder.call("GET", path + "/c", status=404)
    assert cinder.get(path) == {"metadata": {}}


@pytest.mark.parametrize(
    ("module", "kind", "name"),
    [
        (volume_routes, "volumes", "metadata"),
        (snapshot_routes, "snapshots", "metadata"),
        (type_routes, "types", "extra_specs"),
    ],
)
def test_of_two_that_add_pairs_at_once_neither_is_lost(
    cinder: Cinder, monkeypatch: pytest.MonkeyPatch, module: Any, kind: str, name: str
) -> None:
    volume = cinder.volume()["id"]
    wished = {"snapshots": {"snapshot": {"volume_id": volume}}, "types": {"volume_type": {"name": "t"}}}
    found = cinder.call("POST", f"/{kind}", wished[kind], who="admin").json if kind in wished else {"": {"id": volume}}
    path = f"/{kind}/{next(iter(found.values()))['id']}/{name}"
    find, posts = module.find, []
    last = 1 if kind == "types" else 2  # the first look at a thing of a project tells whose it is

    def meanwhile(call: Any) -> Any:
        row = find(call)
        if call.method == "POST":
            posts.append(row)
        if call.method == "POST" and len(posts) == last:
            cinder.call("POST", path, {name: {"b": "2"}}, who="admin", status=200)
        return row

    monkeypatch.setattr(module, "find", meanwhile)
    cinder.call("POST", path, {name: {"a": "1"}}, who="admin", status=200)
    assert cinder.get(path, who="admin")[name] == {"a": "1", "b": "2"}


def test_a_volume_of_an_image(cinder: Cinder) -> None:
    picture = Picture(
        "11111111-1111-4111-8111-111111111111", "tiny", "active", min_disk=1, size=512, properties={"os": "x"}
    )
    cinder.twin.pictures.add(picture, b"boot" * 128)
    made = cinder.volume(imageRef=picture.id)
    assert made["status"] == "available" and made["bootable"] == "true"
    told = made["volume_image_metadata"]
    assert (told["image_id"], told["image_name"], told["os"], told["min_disk"]) == (picture.id, "tiny", "x", "1")
    with cinder.host.disks.plain(made["id"]) as raw:
        assert raw.read(0, 8) == b"bootboot"
    assert cinder.get("/volumes/detail?bootable=1")["volumes"][0]["id"] == made["id"]
    assert cinder.get(f"/volumes?glance_metadata={quote(str({'os': 'x'}))}")["volumes"]
    large = Picture("22222222-1111-4111-8111-111111111111", "large", "active", min_disk=3, size=512)
    queued = Picture("33333333-1111-4111-8111-111111111111", "queued", "queued")
    for one in (large, queued):
        cinder.twin.pictures.add(one, b"x")
        cinder.call("POST", "/volumes", {"volume": {"size": 2, "imageRef": one.id}}, status=400)
    cinder.call("POST", "/volumes", {"volume": {"imageRef": picture.id}}, status=400)
    show = cinder.act(made["id"], "os-show_image_metadata", status=200).json["metadata"]
    assert show["os"] == "x"
    cinder.act(made["id"], "os-set_image_metadata", {"metadata": {"a": "b"}}, status=200)
    cinder.act(made["id"], "os-unset_image_metadata", {"key": "a"}, status=200)
    cinder.act(made["id"], "os-unset_image_metadata", {"key": "a"}, status=404)
    cinder.act(made["id"], "os-reimage", {"image_id": picture.id}, version="3.68", status=202)
    cinder.settle(2)
    assert cinder.state(f"/volumes/{made['id']}") == "available"
    cinder.act(made["id"], "os-reimage", {"image_id": large.id}, version="3.68", status=400)
    cinder.act(made["id"], "os-reimage", {"image_id": picture.id}, version="3.67", status=400)


def test_a_copy_of_a_volume(cinder: Cinder) -> None:
    source = cinder.volume()
    with cinder.host.disks.plain(source["id"], writable=True) as raw:
        raw.write(0, b"mine")
    made = cinder.volume(source_volid=source["id"], size=2)
    with cinder.host.disks.plain(made["id"]) as raw:
        assert raw.read(0, 4) == b"mine" and raw.size == 2 << 30
    assert made["source_volid"] == source["id"]
    plain = cinder.call("POST", "/volumes", {"volume": {"source_volid": source["id"]}}, status=202).json["volume"]
    assert plain["size"] == 1
    larger = cinder.volume(size=3)
    cinder.call("POST", "/volumes", {"volume": {"source_volid": larger["id"], "size": 2}}, status=400)
    cinder.act(larger["id"], "os-reset_status", {"status": "error"}, who="admin", status=202)
    cinder.call("POST", "/volumes", {"volume": {"source_volid": larger["id"], "size": 3}}, status=400)


def test_extending(cinder: Cinder) -> None:
    made = cinder.volume()
    path = f"/volumes/{made['id']}"
    for bad in ({"new_size": 1}, {"new_size": 0}, {"new_size": "x"}, {}, {"new_size": None}):
        cinder.act(made["id"], "os-extend", bad, status=400)
    cinder.act(made["id"], "os-extend", {"new_size": 3}, status=202)
    assert cinder.state(path) == "extending"
    cinder.settle(1)
    assert cinder.get(path)["volume"]["size"] == 3 and cinder.state(path) == "available"
    cinder.call("PUT", f"/os-quota-sets/{cinder.project}", {"quota_set": {"gigabytes": 4}}, who="admin", status=200)
    cinder.act(made["id"], "os-extend", {"new_size": 5}, status=413)


def test_the_quota_holds(cinder: Cinder) -> None:
    for name in ("volumes", "gigabytes", "per_volume_gigabytes", "volumes_luks"):
        body = {"quota_set": {name: 0 if "gigabytes" not in name else 1}}
        cinder.call("PUT", f"/os-quota-sets/{cinder.project}", body, who="admin", status=200)
        wish = {"volume": {"size": 2, "volume_type": "luks"}}
        answer = cinder.call("POST", "/volumes", wish, status=413)
        assert answer.json["overLimit"]["code"] == 413 and "retryAfter" in answer.json["overLimit"]
        cinder.call("DELETE", f"/os-quota-sets/{cinder.project}", who="admin", status=200)
    assert cinder.get("/volumes")["volumes"] == []


def test_what_the_backend_cannot_do_ends_in_error_and_a_message(cinder: Cinder) -> None:
    kind = {"volume_type": {"name": "fast", "extra_specs": {"vendor_name": "Other"}}}
    cinder.call("POST", "/types", kind, who="admin", status=200)
    made = cinder.volume(volume_type="fast")
    assert made["status"] == "error"
    told = cinder.get("/messages", version="3.3")["messages"]
    assert told[0]["resource_uuid"] == made["id"] and "No valid backend" in told[0]["user_message"]
    one = f"/messages/{told[0]['id']}"
    assert cinder.get(one, version="3.3")["message"]["event_id"] == "VOLUME_VOLUME_001_001"
    cinder.call("GET", one, who="other", version="3.3", status=404)
    cinder.call("GET", "/messages", status=404)
    assert cinder.get("/messages?resource_uuid=x", version="3.5")["messages"] == []
    cinder.call("DELETE", one, version="3.3", status=204)
    cinder.call("GET", one, version="3.3", status=404)
    cinder.call("DELETE", f"/volumes/{made['id']}", status=202)
    cinder.settle(1)
    assert cinder.twin.left() == []


def test_a_stuck_creation_can_be_deleted(cinder: Cinder) -> None:
    made = cinder.call("POST", "/volumes", {"volume": {"size": 1}}, status=202).json["volume"]
    cinder.call("DELETE", f"/volumes/{made['id']}", status=400)
    cinder.act(made["id"], "os-force_delete", status=403)
    cinder.act(made["id"], "os-force_delete", who="admin", status=202)
    cinder.settle(1)
    cinder.call("GET", f"/volumes/{made['id']}", status=404)
    other = cinder.call("POST", "/volumes", {"volume": {"size": 1}}, status=202).json["volume"]
    cinder.call("DELETE", f"/volumes/{other['id']}?force=True&cascade=False", who="admin", version="3.23", status=202)
    cinder.settle(1)
    assert cinder.twin.left() == []


def test_states_may_be_set_by_administrators(cinder: Cinder) -> None:
    made = cinder.volume()
    cinder.act(made["id"], "os-reset_status", {"status": "error"}, status=403)
    for status in ("error", "creating", "maintenance", "available"):
        cinder.act(made["id"], "os-reset_status", {"status": status}, who="admin", status=202)
        assert cinder.state(f"/volumes/{made['id']}") == status
    cinder.act(made["id"], "os-reset_status", {"migration_status": "none"}, who="admin", status=202)
    for bad in ({}, {"status": "odd"}, {"attach_status": "odd"}, {"migration_status": "odd"}):
        cinder.act(made["id"], "os-reset_status", bad, who="admin", status=400)
    cinder.act(made["id"], "os-reset_status", {"status": "creating"}, who="admin", status=202)
    cinder.act(made["id"], "os-force_delete", who="admin", status=202)
    cinder.settle(1)
    cinder.call("GET", f"/volumes/{made['id']}", status=404)


def test_flags(cinder: Cinder) -> None:
    made = cinder.volume()
    cinder.act(made["id"], "os-set_bootable", {"bootable": True}, status=200)
    cinder.act(made["id"], "os-update_readonly_flag", {"readonly": True}, status=202)
    shown = cinder.get(f"/volumes/{made['id']}")["volume"]
    assert shown["bootable"] == "true" and shown["metadata"] == {"readonly": "True"}
    for action in ("os-set_bootable", "os-update_readonly_flag", "os-nothing", "os-retype", "revert"):
        cinder.act(made["id"], action, {}, status=400)
    cinder.call("POST", f"/volumes/{made['id']}/action", {"a": 1, "b": 2}, status=400)
    cinder.call("POST", f"/volumes/{made['id']}/action", {"os-extend": 7}, status=400)


def test_retyping(cinder: Cinder) -> None:
    made = cinder.volume()
    cinder.act(made["id"], "os-retype", {"new_type": "luks", "migration_policy": "on-demand"}, status=202)
    assert cinder.get(f"/volumes/{made['id']}")["volume"]["volume_type"] == "luks"
    for bad in ({"new_type": "luks"}, {"new_type": "odd"}, {"new_type": "luks", "migration_policy": "x"}):
        cinder.act(made["id"], "os-retype", bad, status=400)


def test_what_one_host_cannot_do_is_said(cinder: Cinder) -> None:
    made = cinder.volume()
    cinder.act(made["id"], "os-migrate_volume", {"host": "x"}, who="admin", status=400)
    cinder.act(made["id"], "os-unmanage", who="admin", status=501)
    cinder.call("POST", "/os-volume-manage", {"volume": {}}, who="admin", status=501)
    cinder.call("POST", "/os-snapshot-manage", {"snapshot": {}}, who="admin", status=501)
    assert cinder.get("/os-volume-manage", who="admin") == {"manageable-volumes": []}
    assert cinder.get("/os-snapshot-manage", who="admin") == {"manageable-snapshots": []}


def test_an_image_of_a_volume(cinder: Cinder) -> None:
    made = cinder.volume()
    with cinder.host.disks.plain(made["id"], writable=True) as raw:
        raw.write(0, b"mine")
    wish = {"image_name": "i", "disk_format": "raw", "container_format": "bare"}
    told = cinder.act(made["id"], "os-volume_upload_image", wish, version="3.1", status=202).json
    body = told["os-volume_upload_image"]
    assert body["status"] == "uploading" and body["visibility"] == "private"
    cinder.settle(1)
    assert cinder.twin.pictures.uploaded[body["image_id"]][:4] == b"mine"
    assert cinder.state(f"/volumes/{made['id']}") == "available"
    for bad in ({}, {"image_name": "i", "disk_format": "vmdk"}, {"image_name": "i", "visibility": "odd"}):
        cinder.act(made["id"], "os-volume_upload_image", bad, status=400)
    cinder.act(made["id"], "os-volume_upload_image", {**wish, "visibility": "public"}, status=403)


def test_a_volume_is_as_good_as_before_when_no_image_of_it_can_be_made(cinder: Cinder) -> None:
    made, pictures = cinder.volume()["id"], cinder.twin.pictures
    wish = {"image_name": "i", "disk_format": "raw", "container_format": "bare", "force": True}
    cinder.act(made, "os-attach", {"instance_uuid": "s", "mountpoint": "/dev/vdb"}, status=202)
    cinder.twin.engine.busy.add(made)
    told = cinder.act(made, "os-volume_upload_image", wish, version="3.1", status=202).json
    image_id = told["os-volume_upload_image"]["image_id"]
    pictures.refused.add(image_id)
    cinder.settle(5)
    assert cinder.state(f"/volumes/{made}") == "in-use" and set(pictures.failed) == {image_id}
    assert set(cinder.twin.engine.disks) == {made} and cinder.twin.left(made) == []
    row = VOLUMES.find(cinder.db, id=made)
    assert row is not None and row.wish == {}
    (message,) = cinder.get("/messages", version="3.3")["messages"]
    assert message["resource_uuid"] == made and pictures.failed[image_id] in message["user_message"]
