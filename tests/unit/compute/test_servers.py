"""Creating, showing, listing, changing and deleting servers through the API."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from andromede.compute.tables import ALLOCATIONS, DEVICES
from tests.support.nova import BIG_IMAGE, BOOT_VOLUME, IMAGE, NETWORK, NOTHING, PORT, SNAPSHOT, VOLUME, WEB_GROUP, Nova

BASE = {
    "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created", "updated",
    "addresses", "accessIPv4", "accessIPv6", "links", "OS-DCF:diskConfig", "progress", "config_drive", "key_name",
    "os-extended-volumes:volumes_attached", "OS-EXT-AZ:availability_zone", "OS-SRV-USG:launched_at",
    "OS-SRV-USG:terminated_at", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state",
}  # fmt: skip
ADMIN = {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name"}


def test_a_server_is_accepted_with_what_clients_need(nova: Nova) -> None:
    body = {"server": {"name": "web", "flavorRef": "tiny", "imageRef": IMAGE}}
    answer = nova.call("POST", "/servers", body)
    assert answer.status == 202
    server = answer.json["server"]
    assert set(server) == {"id", "links", "OS-DCF:diskConfig", "adminPass", "security_groups"}
    assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]
    assert answer.headers["location"] == f"http://cloud.test/compute/v2.1/servers/{server['id']}"
    assert answer.headers["x-openstack-nova-api-version"] == "2.1"
    row = nova.row(server["id"])
    assert (row.state, row.host, row.vcpus, row.ram_mb, row.root_gb) == ("scheduling", "h1", 1, 192, 1)
    held = {a.resource_class: a.used for a in ALLOCATIONS.select(nova.db, {"consumer_id": row.id})}
    assert held == {"VCPU": 1, "MEMORY_MB": 192, "DISK_GB": 1}
    disk, nic = DEVICES.select(nova.db, {"server_id": row.id})
    assert (disk.kind, disk.source, disk.target, disk.boot_index, disk.size_gb) == ("disk", "image", "local", 0, 1)
    assert (nic.kind, nic.network_id, nic.made) == ("nic", NETWORK, True)


@pytest.mark.parametrize(
    ("version", "more"),
    [
        (None, set()),
        ("2.3", set()),
        ("2.9", {"locked"}),
        ("2.19", {"locked", "description"}),
        ("2.26", {"locked", "description", "tags"}),
        ("2.61", {"locked", "description", "tags"}),
    ],
)
def test_each_version_shows_exactly_its_keys(nova: Nova, version: str | None, more: set[str]) -> None:
    server = nova.active()
    shown = nova.call("GET", f"/servers/{server}", None, version).json["server"]
    assert set(shown) == BASE | more
    wide = nova.admin("GET", f"/servers/{server}", None, version).json["server"]
    late = {"OS-EXT-SRV-ATTR:" + word for word in (
        "reservation_id", "launch_index", "hostname", "kernel_id", "ramdisk_id", "root_device_name", "user_data")
    } if version else set()  # fmt: skip
    status = {"host_status"} if version and version not in ("2.3", "2.9") else set()
    assert set(wide) == BASE | more | ADMIN | late | status
    (listed,) = nova.call("GET", "/servers/detail", None, version).json["servers"]
    assert listed == shown
    if version == "2.61":
        assert shown["flavor"] == {
            "original_name": "tiny", "vcpus": 1, "ram": 192, "disk": 0, "ephemeral": 0, "swap": 0, "extra_specs": {},
        }  # fmt: skip
    else:
        assert set(shown["flavor"]) == {"id", "links"}
    assert shown["status"] == "ACTIVE"


def test_the_short_list_and_its_pages(nova: Nova) -> None:
    ids = [nova.active(name=f"s{n}") for n in range(3)]
    answer = nova.call("GET", "/servers?limit=2").json
    assert {server["id"] for server in answer["servers"]} < set(ids)
    assert set(answer["servers"][0]) == {"id", "name", "links"}
    (link,) = answer["servers_links"]
    assert link["rel"] == "next"
    rest = nova.call("GET", link["href"].partition("/v2.1")[2]).json
    assert "servers_links" not in rest
    assert {s["id"] for s in answer["servers"] + rest["servers"]} == set(ids)
    assert nova.call("GET", "/servers?limit=0").json["servers"] == []
    assert nova.call("GET", "/servers?limit=100000").status == 200
    for bad in ("limit=-1", "limit=x", f"marker={NOTHING}", "sort_key=nonsense", "sort_dir=up", "changes-since=x"):
        assert nova.call("GET", f"/servers?{bad}").status == 400, bad


def test_filters_are_honoured(nova: Nova) -> None:
    first = nova.active(name="web-1", metadata={"a": "b"}, key_name=None)
    second = nova.arrive(nova.server(name="db-1", flavorRef="tiny2")["id"], "stopped")
    nova.wires.create_port(nova.project_id, first, NETWORK, "10.0.0.77", "r")
    found = {
        "name=web": {first}, "name=^web-1$": {first}, "name=(((": set(), "name=nothing": set(),
        "status=active": {first},
        "status=ACTIVE&status=SHUTOFF": {first, second}, "status=nonsense": set(), "flavor=tiny2": {second},
        f"image={IMAGE}": {first, second}, f"image={NOTHING}": set(), "flavor=nothing": set(), "ip=10.0.0.7": {first},
        "ip=^10.0.0.77$": {first}, "ip6=fd00": set(), "changes-since=2001-01-01T00:00:00Z": {first, second},
        "changes-since=2999-01-01T00:00:00Z": set(), "availability_zone=nova": {first, second},
        "reservation_id=x": set(), "deleted=true": {first, second}, "config_drive=false": {first, second},
        "hostname=web-1": {first}, "description=zz": set(), "power_state=4": {second}, "name=a(a|aa)%2B*%24": set(),
        "unknown=1": {first, second}, "locked=true": {first, second},
    }  # fmt: skip
    for query, ids in found.items():
        answer = nova.call("GET", f"/servers/detail?{query}")
        assert answer.status == 200, query
        assert {server["id"] for server in answer.json["servers"]} == ids, query
    assert nova.call("GET", "/servers?status=nonsense", None, "2.38").status == 400
    assert nova.call("GET", "/servers?all_tenants=1").status == 403
    assert nova.call("GET", "/servers?changes-since=2001-01-01T00:00:00%2000:00").status == 200
    for query, ids in {
        "all_tenants=1": {first, second}, f"all_tenants=1&tenant_id={nova.project_id}": {first, second},
        f"all_tenants=1&project_id={NOTHING}": set(), "all_tenants=1&host=h1": {first, second},
        "all_tenants=1&host=h2": set(), "all_tenants=1&vm_state=stopped": {second},
        "all_tenants=1&launch_index=x": set(),
        "all_tenants=1&task_state=deleting": set(), f"tenant_id={nova.project_id}": set(),
        "all_tenants": {first, second},
        "all_tenants=0": set(),
    }.items():  # fmt: skip
        answer = nova.admin("GET", f"/servers?{query}")
        assert {server["id"] for server in answer.json["servers"]} == ids, query


def test_tags_filter(nova: Nova) -> None:
    one = nova.active("2.52", networks="none", tags=["a", "b"])
    two = nova.active("2.52", networks="none", tags=["b"])
    three = nova.active("2.52", networks="none")
    for query, ids in {
        "tags=a": {one}, "tags=a,b": {one}, "tags-any=a,b": {one, two}, "not-tags=a,b": {two, three},
        "not-tags-any=a,b": {three}, "tags=c": set(),
    }.items():  # fmt: skip
        answer = nova.call("GET", f"/servers?{query}", None, "2.26")
        assert {server["id"] for server in answer.json["servers"]} == ids, query
    assert len(nova.call("GET", "/servers?tags=c").json["servers"]) == 3


BAD: list[tuple[str | None, dict[str, Any]]] = [
    (None, {"name": ""}), (None, {"name": "x" * 256}), (None, {"name": 7}), (None, {"name": " "}),
    (None, {"flavorRef": None}), (None, {"flavorRef": "nothing"}), (None, {"imageRef": "x"}),
    (None, {"imageRef": NOTHING}), (None, {"imageRef": ""}), (None, {"metadata": {"a": "x" * 256}}),
    (None, {"metadata": {"": "x"}}), (None, {"metadata": {"a": 1}}), (None, {"metadata": "x"}),
    (None, {"networks": [{"uuid": "a-b-c"}]}), (None, {"networks": [{"uuid": NOTHING}]}),
    (None, {"networks": [{"port": NOTHING}]}), (None, {"networks": [{"port": PORT}, {"port": PORT}]}),
    (None, {"networks": [{"uuid": NETWORK, "fixed_ip": "x"}]}), (None, {"networks": "auto"}),
    (None, {"networks": [{"port": PORT, "fixed_ip": "10.0.0.5"}]}), (None, {"accessIPv4": "1.1.1"}),
    (None, {"accessIPv6": "fe80::1%x"}),
    (None, {"accessIPv6": "1.1.1.1"}), (None, {"security_groups": [{"name": "nothing"}]}),
    (None, {"key_name": "nothing"}), (None, {"user_data": "%%%"}), (None, {"min_count": 0}),
    (None, {"min_count": "x"}), (None, {"min_count": 3, "max_count": 2}), (None, {"availability_zone": "nothing"}),
    (None, {"OS-DCF:diskConfig": "x"}), (None, {"config_drive": "maybe"}), (None, {"unknown": 1}),
    (None, {"description": "x"}), (None, {"tags": ["x"]}), (None, {"imageRef": BIG_IMAGE, "flavorRef": "tiny2"}),
    (None, {"personality": [{"path": "/a", "contents": "%"}]}), (None, {"block_device_mapping_v2": [{}]}),
    (None, {"block_device_mapping_v2": "x"}), ("2.37", {}), ("2.37", {"networks": "sometimes"}),
    ("2.57", {"networks": "none", "personality": []}), ("2.52", {"networks": "none", "tags": ["a/b"]}),
    ("2.52", {"networks": "none", "tags": ["a", "a"]}), ("2.52", {"networks": "none", "tags": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("version", "fields"), BAD, ids=str)
def test_bad_servers_are_refused(nova: Nova, version: str | None, fields: dict[str, Any]) -> None:
    body = {"server": {"name": "web", "flavorRef": "tiny", "imageRef": IMAGE, **fields}}
    answer = nova.call("POST", "/servers", body, version)
    assert answer.status == 400, answer.raw
    assert answer.json["badRequest"]["code"] == 400


DISKS: list[tuple[dict[str, Any], int]] = [
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": "0", "uuid": IMAGE, "source_type": "image", "destination_type": "volume", "volume_size": "8"}]},
     202),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": BOOT_VOLUME, "source_type": "volume", "destination_type": "volume"},
        {"boot_index": -1, "source_type": "blank", "destination_type": "volume", "volume_size": 1}]}, 202),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": SNAPSHOT, "source_type": "snapshot", "destination_type": "volume"}]}, 202),
    ({"imageRef": "", "block_device_mapping": [{"device_name": "vda", "volume_id": BOOT_VOLUME}]}, 202),
    ({"block_device_mapping": [{"device_name": "/dev/vdb", "volume_id": VOLUME}]}, 202),
    ({"block_device_mapping": [{"device_name": "vdb", "no_device": True}]}, 202),
    ({"block_device_mapping_v2": [
        {"boot_index": 0, "uuid": IMAGE, "source_type": "image", "destination_type": "local"},
        {"uuid": VOLUME, "source_type": "volume", "destination_type": "volume"}]}, 202),
    ({"block_device_mapping_v2": [
        {"boot_index": 0, "uuid": BOOT_VOLUME, "source_type": "volume", "destination_type": "volume"}]}, 202),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": VOLUME, "source_type": "volume", "destination_type": "volume"}]}, 400),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": NOTHING, "source_type": "volume", "destination_type": "volume"}]}, 400),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": NOTHING, "source_type": "snapshot", "destination_type": "volume"}]}, 400),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": IMAGE, "source_type": "image", "destination_type": "volume"}]}, 400),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "uuid": BIG_IMAGE, "source_type": "image", "destination_type": "volume",
         "volume_size": 2}]}, 400),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "source_type": "blank", "destination_type": "volume", "volume_size": 2}]}, 400),
    ({"imageRef": "", "block_device_mapping_v2": [
        {"boot_index": 0, "source_type": "blank", "destination_type": "local", "volume_size": 2}]}, 400),
    ({"block_device_mapping_v2": [{"source_type": "blank", "destination_type": "local", "volume_size": 2}]}, 400),
    ({"block_device_mapping_v2": [{"uuid": VOLUME, "source_type": "volume", "destination_type": "local"}]}, 400),
    ({"block_device_mapping_v2": [{"source_type": "volume", "destination_type": "volume"}]}, 400),
    ({"block_device_mapping_v2": [{"uuid": IMAGE, "source_type": "image", "destination_type": "local",
                                   "device_name": "/dev/v b"}]}, 400),
    ({"block_device_mapping_v2": [{"uuid": BIG_IMAGE, "source_type": "image", "destination_type": "local"}]}, 400),
    ({"block_device_mapping": [{"device_name": "vdb"}]}, 400),
    ({"block_device_mapping": [{"device_name": "vdb", "volume_id": VOLUME}],
      "block_device_mapping_v2": [{"uuid": VOLUME, "source_type": "volume"}]}, 400),
    ({"block_device_mapping_v2": [{"boot_index": 2, "uuid": VOLUME, "source_type": "volume"}]}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "status"), DISKS, ids=range(len(DISKS)))
def test_block_devices(nova: Nova, fields: dict[str, Any], status: int) -> None:
    body = {"server": {"name": "web", "flavorRef": "tiny", "imageRef": IMAGE, **fields}}
    answer = nova.call("POST", "/servers", body)
    assert answer.status == status, answer.raw
    if status == 202:
        row = nova.row(answer.json["server"]["id"])
        disks = [row for row in DEVICES.select(nova.db, {"server_id": row.id}) if row.kind == "disk"]
        assert [disk.boot_index for disk in disks].count(0) == 1
        assert (row.root_gb == 0) == (disks[0].target == "volume")
        shown = nova.call("GET", f"/servers/{row.id}").json["server"]
        assert (shown["image"] == "") == (row.root_gb == 0)
        held = [disk.volume_id for disk in disks if disk.volume_id]
        assert set(held) == set(nova.blocks.held)


def test_a_volume_that_is_taken_is_refused_and_nothing_stays(nova: Nova) -> None:
    nova.blocks.held[VOLUME] = "other"
    body = {"server": {"name": "web", "flavorRef": "tiny", "imageRef": IMAGE, "block_device_mapping_v2": [
        {"uuid": VOLUME, "source_type": "volume", "destination_type": "volume"}]}}  # fmt: skip
    assert nova.call("POST", "/servers", body).status == 400
    assert nova.call("GET", "/servers").json["servers"] == []
    assert ALLOCATIONS.select(nova.db) == []


def test_flavors_bring_their_own_disks(nova: Nova) -> None:
    flavor = {"name": "fat", "ram": 128, "vcpus": 1, "disk": 5, "id": "fat", "swap": 512,
              "OS-FLV-EXT-DATA:ephemeral": 2}  # fmt: skip
    assert nova.admin("POST", "/flavors", {"flavor": flavor}).status == 200
    row = nova.row(nova.server(flavorRef="fat")["id"])
    disks = [d for d in DEVICES.select(nova.db, {"server_id": row.id}) if d.kind == "disk"]
    assert [(d.source, d.size_gb, d.guest_format) for d in disks] == [
        ("image", 5, ""), ("blank", 2, ""), ("blank", 1, "swap"),
    ]  # fmt: skip
    held = {a.resource_class: a.used for a in ALLOCATIONS.select(nova.db, {"consumer_id": row.id})}
    assert held["DISK_GB"] == 8
    assert nova.admin("DELETE", "/flavors/fat").status == 202


def test_networks_of_a_server(nova: Nova) -> None:
    row = nova.row(nova.server(networks=[{"port": PORT}])["id"])
    (nic,) = [d for d in DEVICES.select(nova.db, {"server_id": row.id}) if d.kind == "nic"]
    assert (nic.port_id, nic.network_id, nic.made) == (PORT, NETWORK, False)
    assert nova.row(nova.server("2.37", networks="none")["id"]).networks == "none"
    assert nova.row(nova.server("2.37", networks="auto")["id"]).networks == "list"
    row = nova.row(nova.server("2.42", networks=[{"uuid": NETWORK, "fixed_ip": "10.0.0.9", "tag": "front"}])["id"])
    (nic,) = [d for d in DEVICES.select(nova.db, {"server_id": row.id}) if d.kind == "nic"]
    assert (nic.wish, nic.tag) == ({"fixed_ip": "10.0.0.9"}, "front")
    known = nova.wires.networks
    body = {"server": {"name": "web", "flavorRef": "tiny", "imageRef": IMAGE}}
    nova.wires.networks = [*known, type(known[0])(NOTHING, "other", False)]
    assert nova.call("POST", "/servers", body).status == 409
    body["server"]["networks"] = [{"uuid": NOTHING}]  # type: ignore[assignment]
    assert nova.call("POST", "/servers", body).status == 400
    nova.wires.networks = []
    del body["server"]["networks"]
    assert nova.row(nova.call("POST", "/servers", body).json["server"]["id"]).networks == "none"
    body["server"]["networks"] = "auto"
    assert nova.call("POST", "/servers", body, "2.37").status == 400
    nova.wires.networks = known
    nova.wires.ports[PORT] = type(nova.wires.ports[PORT])(PORT, NETWORK, "m", "ACTIVE", "other", nova.project_id)
    body["server"]["networks"] = [{"port": PORT}]  # type: ignore[assignment]
    assert nova.call("POST", "/servers", body).status == 409


def test_several_at_once(nova: Nova) -> None:
    server = nova.server(min_count=2, max_count=3, name="many")
    rows = nova.call("GET", "/servers").json["servers"]
    assert {row["name"] for row in rows} == {"many-1", "many-2", "many-3"}
    body = {"server": {"name": "m", "flavorRef": "tiny", "imageRef": IMAGE, "min_count": 2,
                       "return_reservation_id": True}}  # fmt: skip
    answer = nova.call("POST", "/servers", body)
    assert answer.json["reservation_id"].startswith("r-")
    assert server["id"] in {row["id"] for row in rows}


def test_quota_holds_and_takes_what_fits(nova: Nova) -> None:
    assert nova.admin("PUT", f"/os-quota-sets/{nova.project_id}", {"quota_set": {"instances": 2}}).status == 200
    nova.server(min_count=1, max_count=5)
    assert len(nova.call("GET", "/servers").json["servers"]) == 2
    body = {"server": {"name": "m", "flavorRef": "tiny", "imageRef": IMAGE}}
    answer = nova.call("POST", "/servers", body)
    assert answer.status == 403
    assert answer.json["forbidden"]["message"] == (
        "Quota exceeded for instances: Requested 1, but already used 2 of 2 instances"
    )
    items = {"server": {**body["server"], "metadata": {f"k{n}": "v" for n in range(129)}}}
    assert nova.call("POST", "/servers", items).status == 403
    files = {"server": {**body["server"], "personality": [{"path": f"/{n}", "contents": "YQ=="} for n in range(6)]}}
    assert nova.call("POST", "/servers", files).status == 403
    long = base64.b64encode(b"x" * 10241).decode()
    files["server"]["personality"] = [{"path": "/a", "contents": long}]
    assert nova.call("POST", "/servers", files).status == 400


def test_no_room_is_an_error_that_says_so(nova: Nova) -> None:
    shown = nova.call("GET", f"/servers/{nova.server(flavorRef='SCS-16V-32')['id']}").json["server"]
    assert shown["status"] == "ERROR"
    assert shown["fault"]["code"] == 500
    assert "No valid host was found" in shown["fault"]["message"]
    (action,) = nova.call("GET", f"/servers/{shown['id']}/os-instance-actions").json["instanceActions"]
    assert (action["action"], action["message"]) == ("create", "Error")


def test_servers_never_overshoot_a_host(nova: Nova) -> None:
    nova.admin("PUT", f"/os-quota-sets/{nova.project_id}", {"quota_set": {"instances": -1, "cores": -1, "ram": -1}})
    states = [nova.row(nova.server(flavorRef="SCS-1V-2")["id"]).state for _ in range(9)]
    assert states.count("scheduling") == 7  # 16384 MiB hold seven of 2048 and their overhead of 64
    assert states.count("error") == 2


def test_affinity_and_its_contrary(nova: Nova) -> None:
    for policy, want in (("anti-affinity", ["scheduling", "error"]), ("affinity", ["scheduling", "scheduling"])):
        group = nova.call("POST", "/os-server-groups", {"server_group": {"name": "g", "policies": [policy]}}).json
        body = {
            "server": {"name": "m", "flavorRef": "tiny", "imageRef": IMAGE},
            "os:scheduler_hints": {"group": group["server_group"]["id"]},
        }
        made = [nova.call("POST", "/servers", body).json["server"]["id"] for _ in range(2)]
        assert [nova.row(server).state for server in made] == want
        shown = nova.call("GET", f"/os-server-groups/{group['server_group']['id']}").json["server_group"]
        assert shown["members"] == made
    body["os:scheduler_hints"] = {"group": NOTHING}
    assert nova.call("POST", "/servers", body).status == 400
    body["os:scheduler_hints"] = {"group": "x"}
    assert nova.call("POST", "/servers", body).status == 400
    nova.admin("PUT", f"/os-quota-sets/{nova.project_id}", {"quota_set": {"server_group_members": 2}})
    body["os:scheduler_hints"] = {"group": group["server_group"]["id"]}
    assert nova.call("POST", "/servers", body).status == 403


def test_a_host_is_forced_by_admins_only(nova: Nova) -> None:
    body = {"server": {"name": "m", "flavorRef": "tiny", "imageRef": IMAGE, "availability_zone": "nova:h1"}}
    assert nova.call("POST", "/servers", body).status == 403
    assert nova.admin("POST", "/servers", body).status == 202
    body["server"]["availability_zone"] = "nova:h2"
    assert nova.admin("POST", "/servers", body).status == 400
    body["server"]["availability_zone"] = "nova"
    assert nova.call("POST", "/servers", body).status == 202


def test_update(nova: Nova) -> None:
    server = nova.active()
    nova.arrive(server, "stopped")
    assert "progress" not in nova.call("GET", f"/servers/{server}").json["server"]
    nova.arrive(server)
    for version, extra in ((None, set()), ("2.9", {"locked"}), ("2.26", {"locked", "description", "tags"})):
        answer = nova.call("PUT", f"/servers/{server}", {"server": {"name": "new", "accessIPv4": "1.1.1.1"}}, version)
        assert answer.status == 200
        assert set(answer.json["server"]) == extra | {
            "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created",
            "updated", "addresses", "accessIPv4", "accessIPv6", "links", "OS-DCF:diskConfig", "progress",
        }  # fmt: skip
    assert answer.json["server"]["accessIPv4"] == "1.1.1.1"
    answer = nova.call("PUT", f"/servers/{server}", {"server": {"description": "d", "accessIPv6": "fd00::1"}}, "2.19")
    assert answer.json["server"]["description"] == "d"
    long = {"server": {"accessIPv6": "::babe:220.12.22.2"}}
    assert nova.call("PUT", f"/servers/{server}", long).json["server"]["accessIPv6"] == "::babe:dc0c:1602"
    for bad in ({"name": ""}, {"name": "x" * 256}, {"accessIPv6": "x"}, {"unknown": 1}, {"description": "d"}):
        assert nova.call("PUT", f"/servers/{server}", {"server": bad}).status == 400
    assert nova.call("PUT", f"/servers/{NOTHING}", {"server": {"name": "x"}}).status == 404
    assert nova.call("PUT", f"/servers/{server}", {}).status == 400


def test_a_stranger_finds_nothing(nova: Nova) -> None:
    server = nova.active()
    other = nova.hosted.other
    for method, path in (
        ("GET", f"/servers/{server}"), ("DELETE", f"/servers/{server}"), ("GET", f"/servers/{server}/metadata"),
    ):  # fmt: skip
        assert nova.call(method, path, token=other).status == 404
    assert nova.call("PUT", f"/servers/{server}", {"server": {"name": "x"}}, token=other).status == 404
    assert nova.call("GET", "/servers", token=other).json["servers"] == []
    assert nova.call("GET", f"/servers/{server}", token=nova.hosted.reader).status == 200
    assert nova.call("DELETE", f"/servers/{server}", token=nova.hosted.reader).status == 403


def test_deletion(nova: Nova) -> None:
    server = nova.active()
    answer = nova.call("DELETE", f"/servers/{server}")
    assert (answer.status, answer.raw) == (204, b"")
    row = nova.row(server)
    assert row.signals == "delete"
    assert row.due_us is not None
    shown = nova.call("GET", f"/servers/{server}").json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", "deleting")
    assert nova.call("DELETE", f"/servers/{server}").status == 204
    assert nova.act(server, "os-stop").status == 409
    nova.arrive(server, "deleted", terminated_us=nova.clock.now_us())
    for path in ("", "/metadata", "/os-instance-actions"):
        assert nova.call("GET", f"/servers/{server}{path}").status == 404
    assert nova.call("GET", "/servers").json["servers"] == []
    assert nova.call("GET", "/servers?deleted=true").json["servers"] == []
    assert len(nova.admin("GET", "/servers?deleted=true&all_tenants=1").json["servers"]) == 1
    assert len(nova.admin("GET", "/servers?status=deleted&all_tenants=1").json["servers"]) == 1
    since = nova.call("GET", "/servers/detail?changes-since=2001-01-01T00:00:00Z").json["servers"]
    assert [row["status"] for row in since] == ["DELETED"]
    actions = nova.call("GET", f"/servers/{server}/os-instance-actions", None, "2.21").json["instanceActions"]
    assert [row["action"] for row in actions] == ["delete", "create"]


def test_security_groups_of_a_new_server(nova: Nova) -> None:
    server = nova.server(security_groups=[{"name": "web"}, {"name": WEB_GROUP}])
    assert server["security_groups"] == [{"name": "web"}, {"name": WEB_GROUP}]
    assert nova.row(server["id"]).security_groups == [WEB_GROUP, WEB_GROUP]


def test_unsupported_versions(nova: Nova) -> None:
    answer = nova.call("GET", "/servers", None, "2.99")
    assert answer.status == 406
    assert answer.json["computeFault"]["code"] == 406
    assert nova.call("GET", "/servers", None, "x").status == 400
    assert nova.call("GET", "/servers", None, "latest").headers["openstack-api-version"] == "compute 2.61"
