"""What Nova passed on to its neighbours until 2.35, over the neighbours themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.nova import NETWORK, NOTHING, Nova


def neighbour(nova: Nova, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
    """A call of a neighbour's own API."""
    answer = nova.hosted.call(method, path, token or nova.hosted.member, body)
    assert answer.status < 300, answer.raw
    return answer.json if answer.raw else None


def test_security_groups(nova: Nova) -> None:
    path = "/os-security-groups"
    made = nova.call("POST", path, {"security_group": {"name": " web ", "description": "d"}})
    assert made.status == 200
    group = made.json["security_group"]
    assert group == {
        "id": group["id"], "name": " web ", "description": "d", "tenant_id": nova.project_id, "rules": [],
    }  # fmt: skip
    names = {row["name"] for row in nova.call("GET", path).json["security_groups"]}
    assert {"default", " web "} <= names
    assert len(nova.call("GET", f"{path}?limit=1&offset=1").json["security_groups"]) == 1
    assert group["id"] in {row["id"] for row in nova.admin("GET", f"{path}?all_tenants=1").json["security_groups"]}
    one = f"{path}/{group['id']}"
    assert nova.call("PUT", one, {"security_group": {"name": "new", "description": "e"}}).json["security_group"][
        "name"] == "new"  # fmt: skip
    rules = "/os-security-group-rules"
    good = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    rule = nova.call("POST", rules, {"security_group_rule": {**good, "cidr": "10.2.3.124/24"}}).json
    rule = rule["security_group_rule"]
    assert rule == {
        "id": rule["id"], "parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22,
        "group": {}, "ip_range": {"cidr": "10.2.3.124/24"},
    }  # fmt: skip
    peers = nova.call("POST", rules, {"security_group_rule": {**good, "group_id": group["id"]}}).json
    assert peers["security_group_rule"]["group"] == {"name": "new", "tenant_id": nova.project_id}
    icmp = {**good, "ip_protocol": "icmp", "from_port": -1, "to_port": -1}
    assert nova.call("POST", rules, {"security_group_rule": icmp}).json["security_group_rule"]["from_port"] == -1
    any_ = nova.call("POST", rules, {"security_group_rule": {"parent_group_id": group["id"], "cidr": "fd00::/64"}})
    assert any_.json["security_group_rule"]["ip_range"] == {"cidr": "fd00::/64"}
    for bad, status in (
        ({**good, "group_id": group["id"]}, 400), ({**good, "ip_protocol": "x"}, 400),
        ({**good, "from_port": None}, 400),
        ({**good, "to_port": 1}, 400), ({**good, "parent_group_id": NOTHING}, 404),
        ({**good, "parent_group_id": "x"}, 400),
        ({**good, "from_port": 70000}, 400), ({}, 400), ({**good, "cidr": "x"}, 400),
    ):  # fmt: skip
        assert nova.call("POST", rules, {"security_group_rule": bad}).status == status, bad
    assert len(nova.call("GET", one).json["security_group"]["rules"]) == 4
    assert nova.call("DELETE", f"{rules}/{rule['id']}").status == 202
    assert nova.call("DELETE", f"{rules}/{rule['id']}").status == 404
    assert nova.call("DELETE", f"{rules}/x").status == 400
    default = next(row["id"] for row in nova.call("GET", path).json["security_groups"] if row["name"] == "default")
    assert nova.call("DELETE", f"{path}/{default}").status == 400
    for bad in ({"name": ""}, {"name": " ", "description": ""}, {"name": "x" * 256, "description": ""}, {"name": "n"}):
        assert nova.call("POST", path, {"security_group": bad}).status == 400, bad
    assert nova.call("GET", f"{path}/{NOTHING}").status == 404
    assert nova.call("DELETE", one).status == 202
    assert nova.call("GET", one).status == 404
    assert nova.call("GET", path, None, "2.36").status == 404


@pytest.fixture
def outside(nova: Nova) -> str:
    """An external network with a subnet."""
    body = {"network": {"name": "outside", "router:external": True}}
    network = str(neighbour(nova, "POST", "/network/v2.0/networks", body, nova.hosted.admin)["network"]["id"])
    subnet = {"network_id": network, "cidr": "198.51.100.0/28", "ip_version": 4}
    neighbour(nova, "POST", "/network/v2.0/subnets", {"subnet": subnet}, nova.hosted.admin)
    return network


def test_floating_ips_and_networks(nova: Nova, outside: str) -> None:
    assert {"name": "outside"} in nova.call("GET", "/os-floating-ip-pools").json["floating_ip_pools"]
    made = nova.call("POST", "/os-floating-ips", {"pool": "outside"}).json["floating_ip"]
    assert (made["pool"], made["fixed_ip"], made["instance_id"]) == ("outside", None, None)
    assert nova.call("POST", "/os-floating-ips", None).status == 200
    assert nova.call("POST", "/os-floating-ips", {"pool": "nothing"}).status == 404
    assert nova.call("GET", f"/os-floating-ips/{made['id']}").json == {"floating_ip": made}
    assert made in nova.call("GET", "/os-floating-ips").json["floating_ips"]
    server = nova.active()
    nova.wires.create_port(nova.project_id, server, NETWORK, "10.0.0.9", "r")
    assert nova.act(server, "removeFloatingIp", {"address": made["ip"]}).status == 409
    assert nova.call("DELETE", f"/os-floating-ips/{made['id']}").status == 202
    assert nova.call("GET", f"/os-floating-ips/{made['id']}").status == 404
    assert nova.call("GET", "/os-floating-ips/x").status == 400
    listed = nova.call("GET", "/os-networks").json["networks"]
    assert {"id": outside, "label": "outside"}.items() <= next(row for row in listed if row["id"] == outside).items()
    assert nova.call("GET", f"/os-networks/{outside}").json["network"]["label"] == "outside"
    tenant = {"id": outside, "label": "outside", "cidr": "None"}
    assert tenant in nova.call("GET", "/os-tenant-networks").json["networks"]
    assert nova.call("GET", f"/os-tenant-networks/{outside}").json == {"network": tenant}
    assert nova.call("GET", f"/os-networks/{NOTHING}").status == 404


def test_volumes_and_snapshots(nova: Nova) -> None:
    made = nova.call("POST", "/os-volumes", {"volume": {"size": 1, "display_name": "v", "metadata": {"a": "b"}}})
    assert made.status == 200
    volume = made.json["volume"]
    assert set(volume) == {
        "id", "status", "size", "availabilityZone", "createdAt", "displayName", "displayDescription", "volumeType",
        "snapshotId", "metadata", "attachments",
    }  # fmt: skip
    assert (volume["displayName"], volume["metadata"], volume["attachments"]) == ("v", {"a": "b"}, [{}])
    for path in ("/os-volumes", "/os-volumes/detail"):
        assert [row["id"] for row in nova.call("GET", path).json["volumes"]] == [volume["id"]]
    assert nova.call("GET", "/os-volumes?limit=0").json["volumes"] == []
    assert nova.call("GET", f"/os-volumes/{volume['id']}").json["volume"]["id"] == volume["id"]
    for bad in ({}, {"size": 0}, {"size": -1}, {"size": "x"}, {"size": 1, "x": 2}):
        assert nova.call("POST", "/os-volumes", {"volume": bad}).status == 400, bad
    assert nova.call("GET", f"/os-volumes/{NOTHING}").status == 404
    assert nova.call("POST", "/os-snapshots", {"snapshot": {"volume_id": NOTHING}}).status == 404
    for path in ("/os-snapshots", "/os-snapshots/detail"):
        assert nova.call("GET", path).json == {"snapshots": []}
    assert nova.call("GET", f"/os-snapshots/{NOTHING}").status == 404
    assert nova.call("DELETE", f"/os-snapshots/{NOTHING}").status == 404
    assert nova.call("DELETE", f"/os-volumes/{NOTHING}").status == 404


def test_images_and_their_metadata(nova: Nova) -> None:
    body = {"name": "one", "disk_format": "raw", "container_format": "bare", "min_ram": 64, "kind": "x",
            "instance_uuid": NOTHING, "auto_disk_config": "True", "image_type": "snapshot"}  # fmt: skip
    image = neighbour(nova, "POST", "/image/v2/images", body)["id"]
    other = neighbour(nova, "POST", "/image/v2/images", {"name": "two", "disk_format": "raw",
                                                         "container_format": "bare"})["id"]  # fmt: skip
    listed = nova.call("GET", "/images").json["images"]
    assert {row["id"] for row in listed} == {image, other}
    assert set(listed[0]) == {"id", "name", "links"}
    shown = nova.call("GET", f"/images/{image}").json["image"]
    assert (shown["status"], shown["progress"], shown["minRam"], shown["OS-DCF:diskConfig"]) == (
        "SAVING",
        25,
        64,
        "AUTO",
    )
    assert shown["server"]["id"] == NOTHING
    assert shown["metadata"]["kind"] == "x"
    for query, ids in {
        "name=one": {image}, "status=SAVING": {image, other}, "status=ACTIVE": set(), f"server={NOTHING}": {image},
        "type=snapshot": {image}, "type=base": {other}, "minRam=1": {image}, "minDisk=1": set(),
        "changes-since=2999-01-01T00:00:00Z": set(), "property-kind=x": {image}, "property-kind=y": set(),
    }.items():  # fmt: skip
        assert {row["id"] for row in nova.call("GET", f"/images/detail?{query}").json["images"]} == ids, query
    page = nova.call("GET", "/images?limit=1").json
    assert len(page["images"]) == 1
    rest = nova.call("GET", page["images_links"][0]["href"].partition("/v2.1")[2]).json
    assert {page["images"][0]["id"], rest["images"][0]["id"]} == {image, other}
    for bad in ("limit=-1", "minRam=x", "changes-since=x"):
        assert nova.call("GET", f"/images?{bad}").status == 400
    path = f"/images/{image}/metadata"
    assert nova.call("PUT", path, {"metadata": {"a": "1"}}).json == {"metadata": {"a": "1"}}
    assert nova.call("POST", path, {"metadata": {"b": "2"}}).json == {"metadata": {"a": "1", "b": "2"}}
    assert nova.call("POST", path, {"metadata": {"b": "2"}}).json == {"metadata": {"a": "1", "b": "2"}}
    assert nova.call("PUT", f"{path}/c", {"meta": {"c": "3"}}).json == {"meta": {"c": "3"}}
    assert nova.call("GET", f"{path}/c").json == {"meta": {"c": "3"}}
    assert nova.call("DELETE", f"{path}/c").status == 204
    assert nova.call("GET", path).json == {"metadata": {"a": "1", "b": "2"}}
    for method, where, sent, status in (
        ("DELETE", f"{path}/c", None, 404), ("GET", f"{path}/c", None, 404),
        ("PUT", f"{path}/c", {"meta": {"d": "1"}}, 400),
        ("POST", path, {}, 400), ("GET", f"/images/{NOTHING}/metadata", None, 404),
        ("POST", path, {"metadata": {f"k{n}": "v" for n in range(130)}}, 403),
    ):  # fmt: skip
        assert nova.call(method, where, sent).status == status, (method, where)
    assert nova.call("GET", path, None, "2.38").status == 200
    assert nova.call("GET", path, None, "2.39").status == 404
    for one in (image, other):
        assert nova.call("DELETE", f"/images/{one}").status == 204
    assert nova.call("DELETE", f"/images/{image}").status == 404


def test_a_door_keeps_the_rules_of_its_service(nova: Nova) -> None:
    assert nova.call("POST", "/os-security-groups", {"security_group": {"name": "x", "description": ""}},
                     token=nova.hosted.reader).status == 403  # fmt: skip
