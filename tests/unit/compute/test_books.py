"""Flavors, keys, quotas, groups, and what admins see of hosts."""

from __future__ import annotations

import pytest

from andromede.compute import flavors
from andromede.compute.hosts import Facts
from tests.support.nova import NOTHING, Nova

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyfQT0mkXJ3xgvXuGzOyUXJv0pTzZ3tJ5mNPj0w1o2n me@here"


def test_the_mandatory_flavors(nova: Nova) -> None:
    listed = nova.call("GET", "/flavors/detail?is_public=None", None, "2.61").json["flavors"]
    by_name = {row["name"]: row for row in listed}
    assert {name for name, *_ in (*flavors.MANDATORY, *flavors.RECOMMENDED)} <= set(by_name)
    flavor = by_name["SCS-2V-4-20s"]
    assert (flavor["vcpus"], flavor["ram"], flavor["disk"]) == (2, 4096, 20)
    assert flavor["extra_specs"] == {
        "scs:name-v1": "SCS-2V:4:20s", "scs:name-v2": "SCS-2V-4-20s", "scs:cpu-type": "shared-core",
        "scs:disk0-type": "ssd", "hw_rng:allowed": "true",
    }  # fmt: skip
    assert by_name["SCS-1L-1"]["extra_specs"]["scs:cpu-type"] == "crowded-core"
    assert flavors.provide(nova.compute.core.desk) == 0


def test_flavors_by_version(nova: Nova) -> None:
    base = {
        "id", "name", "links", "ram", "disk", "vcpus", "swap", "rxtx_factor", "OS-FLV-EXT-DATA:ephemeral",
        "OS-FLV-DISABLED:disabled", "os-flavor-access:is_public",
    }  # fmt: skip
    for version, more in ((None, set()), ("2.55", {"description"}), ("2.61", {"description", "extra_specs"})):
        assert set(nova.call("GET", "/flavors/tiny", None, version).json["flavor"]) == base | more
    assert nova.call("GET", "/flavors/tiny").json["flavor"]["swap"] == ""
    assert set(nova.call("GET", "/flavors?limit=1").json["flavors"][0]) == {"id", "name", "links"}
    assert nova.call("GET", "/flavors/nothing").status == 404


def test_lists_of_flavors(nova: Nova) -> None:
    answer = nova.call("GET", "/flavors?limit=2").json
    assert len(answer["flavors"]) == 2
    rest = nova.call("GET", answer["flavors_links"][0]["href"].partition("/v2.1")[2]).json
    assert len(rest["flavors"]) == 2
    assert all(row["disk"] >= 20 for row in nova.call("GET", "/flavors/detail?minDisk=20").json["flavors"])
    assert all(row["ram"] >= 4096 for row in nova.call("GET", "/flavors/detail?minRam=4096").json["flavors"])
    rams = [row["ram"] for row in nova.call("GET", "/flavors/detail?sort_key=memory_mb&sort_dir=desc").json["flavors"]]
    assert rams == sorted(rams, reverse=True)
    for bad in ("minDisk=x", "minRam=-1", "sort_key=x", "sort_dir=x", "limit=-1", "marker=nothing"):
        assert nova.call("GET", f"/flavors?{bad}").status == 400, bad
    assert nova.admin("GET", "/flavors?is_public=x").status == 400
    assert nova.admin("GET", "/flavors?is_public=false").json["flavors"] == []
    assert len(nova.admin("GET", "/flavors?is_public=true").json["flavors"]) >= 17


def test_admins_make_flavors(nova: Nova) -> None:
    body = {"name": "f", "ram": 64, "vcpus": 1, "disk": 1, "id": "f1", "os-flavor-access:is_public": False}
    assert nova.call("POST", "/flavors", {"flavor": body}).status == 403
    made = nova.admin("POST", "/flavors", {"flavor": {**body, "swap": 10, "rxtx_factor": 1.5}})
    assert (made.status, made.json["flavor"]["swap"], made.json["flavor"]["rxtx_factor"]) == (200, 10, 1.5)
    assert nova.admin("POST", "/flavors", {"flavor": body}).status == 409
    assert nova.admin("POST", "/flavors", {"flavor": {**body, "id": "f2"}}).status == 409
    auto = nova.admin("POST", "/flavors", {"flavor": {**body, "id": "auto", "name": "g"}}).json["flavor"]["id"]
    for bad in (
        {"ram": 0}, {"vcpus": 0}, {"ram": "x"}, {"name": ""}, {"id": " x"}, {"id": "a/b"}, {"rxtx_factor": 0},
        {"rxtx_factor": "x"}, {"disk": -1}, {"unknown": 1}, {"description": "x"},
    ):  # fmt: skip
        assert nova.admin("POST", "/flavors", {"flavor": {**body, "id": "f9", "name": "h", **bad}}).status == 400, bad
    assert nova.call("GET", "/flavors/f1").status == 404
    add, remove = {"addTenantAccess": {"tenant": nova.project_id}}, {"removeTenantAccess": {"tenant": nova.project_id}}
    row = {"flavor_id": "f1", "tenant_id": nova.project_id}
    assert nova.admin("GET", "/flavors/f1/os-flavor-access").json == {"flavor_access": []}
    assert nova.admin("POST", "/flavors/f1/action", add).json == {"flavor_access": [row]}
    assert nova.admin("POST", "/flavors/f1/action", add).status == 409
    assert nova.call("GET", "/flavors/f1").status == 200
    assert "f1" in {row["id"] for row in nova.call("GET", "/flavors").json["flavors"]}
    assert nova.admin("POST", "/flavors/f1/action", remove).json == {"flavor_access": []}
    assert nova.admin("POST", "/flavors/f1/action", remove).status == 404
    assert nova.admin("POST", "/flavors/f1/action", {"x": {}}).status == 400
    assert nova.admin("GET", "/flavors/tiny/os-flavor-access").status == 404
    assert nova.admin("POST", "/flavors/tiny/action", add, "2.7").status == 409
    put = {"flavor": {"description": "d"}}
    assert nova.admin("PUT", "/flavors/f1", put, "2.55").json["flavor"]["description"] == "d"
    specs = "/flavors/f1/os-extra_specs"
    assert nova.admin("POST", specs, {"extra_specs": {"a": "1", "b": 2}}).json == {"extra_specs": {"a": "1", "b": "2"}}
    assert nova.admin("GET", f"{specs}/a").json == {"a": "1"}
    assert nova.admin("PUT", f"{specs}/a", {"a": "3"}).json == {"a": "3"}
    assert nova.admin("PUT", f"{specs}/a", {"b": "3"}).status == 400
    assert nova.admin("DELETE", f"{specs}/a").status == 200
    assert nova.admin("DELETE", f"{specs}/a").status == 404
    assert nova.admin("GET", f"{specs}/a").status == 404
    assert nova.admin("GET", specs).json == {"extra_specs": {"b": "2"}}
    for bad in ({}, {"extra_specs": {"": "x"}}, {"extra_specs": {"x": None}}, {"extra_specs": 7}):
        assert nova.admin("POST", specs, bad).status == 400
    many = {f"k{n}": "v" for n in range(128)}
    assert nova.admin("POST", specs, {"extra_specs": many}).status == 400
    for name in ("f1", auto):
        assert nova.admin("DELETE", f"/flavors/{name}").status == 202
    assert nova.admin("DELETE", "/flavors/f1").status == 404


def test_keys(nova: Nova) -> None:
    made = nova.call("POST", "/os-keypairs", {"keypair": {"name": "one", "public_key": KEY}})
    assert made.status == 200
    key = made.json["keypair"]
    assert set(key) == {"name", "public_key", "fingerprint", "user_id"}
    assert len(key["fingerprint"].split(":")) == 16
    assert nova.call("POST", "/os-keypairs", {"keypair": {"name": "one"}}).status == 409
    made = nova.call("POST", "/os-keypairs", {"keypair": {"name": "two", "type": "ssh"}}, "2.2")
    assert (made.status, made.json["keypair"]["type"]) == (201, "ssh")
    assert made.json["keypair"]["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    made = nova.call("POST", "/os-keypairs", {"keypair": {"name": "three", "type": "x509"}}, "2.2")
    assert made.json["keypair"]["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    shown = nova.call("GET", "/os-keypairs/one").json["keypair"]
    assert set(shown) == {
        "name", "public_key", "fingerprint", "user_id", "id", "deleted", "created_at", "updated_at", "deleted_at",
    }  # fmt: skip
    assert [row["keypair"]["name"] for row in nova.call("GET", "/os-keypairs").json["keypairs"]] == [
        "one",
        "three",
        "two",
    ]
    paged = nova.call("GET", "/os-keypairs?limit=1", None, "2.35").json
    assert len(paged["keypairs"]) == 1
    assert paged["keypairs_links"][0]["rel"] == "next"
    for bad in (
        {"name": ""}, {"name": "x" * 256}, {"name": "a/b"}, {}, {"name": "n", "public_key": "ssh-rsa JUNK"},
        {"name": "n", "public_key": ""}, {"name": "n", "type": "ssh"}, {"name": 5},
    ):  # fmt: skip
        assert nova.call("POST", "/os-keypairs", {"keypair": bad}).status == 400, bad
    user = {"keypair": {"name": "theirs", "user_id": shown["user_id"]}}
    assert nova.call("POST", "/os-keypairs", user, "2.10", nova.hosted.other).status == 403
    assert nova.admin("POST", "/os-keypairs", user, "2.10").status == 201
    assert nova.call("GET", "/os-keypairs/theirs").status == 200
    assert nova.admin("GET", f"/os-keypairs?user_id={shown['user_id']}", None, "2.10").json["keypairs"] != []
    assert nova.call("DELETE", "/os-keypairs/one").status == 202
    assert nova.call("DELETE", "/os-keypairs/two", None, "2.2").status == 204
    assert nova.call("DELETE", "/os-keypairs/two").status == 404
    nova.admin("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"key_pairs": 2}})
    assert nova.call("POST", "/os-keypairs", {"keypair": {"name": "four"}}).status == 403
    nova.admin("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"key_pairs": 100}})
    for name in ("three", "theirs"):
        nova.call("DELETE", f"/os-keypairs/{name}")


BOTH = {"instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members"}
NET = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}


@pytest.mark.parametrize(
    ("version", "names"), [(None, BOTH | NET | FILES), ("2.36", BOTH | FILES), ("2.57", BOTH)]
)  # fmt: skip
def test_quotas_by_version(nova: Nova, version: str | None, names: set[str]) -> None:
    path = f"/os-quota-sets/{nova.project_id}"
    assert set(nova.call("GET", path, None, version).json["quota_set"]) == names | {"id"}
    assert set(nova.call("GET", f"{path}/defaults", None, version).json["quota_set"]) == names | {"id"}
    detail = nova.call("GET", f"{path}/detail", None, version).json["quota_set"]
    assert detail["instances"] == {"limit": 10, "in_use": 0, "reserved": 0}
    assert set(nova.admin("PUT", path, {"quota_set": {}}, version).json["quota_set"]) == names


def test_quotas(nova: Nova) -> None:
    path = f"/os-quota-sets/{nova.project_id}"
    nova.active()
    nova.active()
    assert nova.call("PUT", path, {"quota_set": {"ram": 1}}).status == 403
    assert nova.call("GET", f"/os-quota-sets/{NOTHING}").status == 403
    assert nova.admin("PUT", path, {"quota_set": {"instances": 1}}).status == 400
    assert nova.admin("PUT", path, {"quota_set": {"instances": 1, "force": True}}).json["quota_set"]["instances"] == 1
    user = nova.call("GET", "/servers/detail").json["servers"][0]["user_id"]
    assert nova.admin("PUT", f"{path}?user_id={user}", {"quota_set": {"cores": 5}}).status == 200
    assert nova.call("GET", f"{path}?user_id={user}").json["quota_set"]["cores"] == 5
    assert nova.call("GET", path).json["quota_set"]["cores"] == 20
    for bad in ({"cores": -2}, {"cores": "x"}, {"unknown": 1}, {"force": "x"}):
        assert nova.admin("PUT", path, {"quota_set": bad}).status == 400, bad
    assert nova.admin("PUT", f"{path}?user_id={user}", {"quota_set": {"cores": 50}}).status == 400
    assert nova.admin("PUT", f"{path}?user_id={user}", {"quota_set": {"cores": -1}}).status == 400
    assert nova.admin("DELETE", f"{path}?user_id={user}").status == 202
    assert nova.admin("DELETE", path).status == 202
    assert nova.call("GET", path).json["quota_set"]["instances"] == 10
    assert nova.admin("PUT", "/os-quota-class-sets/other", {"quota_class_set": {"cores": 1}}).status == 400
    assert nova.admin("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"cores": 21}}).status == 200
    assert nova.admin("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"cores": 20}}).status == 200
    shown = nova.admin("GET", "/os-quota-class-sets/default").json["quota_class_set"]
    assert set(shown) == (BOTH | NET | FILES | {"id"}) - {"server_groups", "server_group_members"}
    assert set(nova.admin("GET", "/os-quota-class-sets/default", None, "2.57").json["quota_class_set"]) == BOTH | {"id"}


def test_limits(nova: Nova) -> None:
    nova.active()
    absolute = nova.call("GET", "/limits").json["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (1, 1, 192)
    assert {"maxImageMeta", "maxTotalFloatingIps", "maxPersonality", "totalFloatingIpsUsed"} <= set(absolute)
    assert set(nova.call("GET", "/limits", None, "2.57").json["limits"]["absolute"]) == {
        "maxServerMeta", "maxTotalCores", "maxTotalInstances", "maxTotalRAMSize", "maxTotalKeypairs", "maxServerGroups",
        "maxServerGroupMembers", "totalCoresUsed", "totalInstancesUsed", "totalRAMUsed", "totalServerGroupsUsed",
    }  # fmt: skip
    theirs = nova.admin("GET", f"/limits?tenant_id={nova.project_id}").json["limits"]["absolute"]
    assert theirs["totalInstancesUsed"] == 1


def test_server_groups(nova: Nova) -> None:
    made = nova.call("POST", "/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}})
    assert made.status == 200
    group = made.json["server_group"]
    assert set(group) == {"id", "name", "policies", "members", "metadata"}
    path = f"/os-server-groups/{group['id']}"
    assert set(nova.call("GET", path, None, "2.13").json["server_group"]) == set(group) | {"project_id", "user_id"}
    shown = nova.call("GET", path, None, "2.61").json["server_group"]
    assert shown["policies"] == ["affinity"]
    for bad in (
        {"name": "g"}, {"name": "", "policies": ["affinity"]}, {"name": "g", "policies": []},
        {"policies": ["affinity"]},
        {"name": "g", "policies": ["x"]}, {"name": "g", "policies": ["soft-affinity"]},
        {"name": "g", "policies": ["affinity", "anti-affinity"]}, {"name": "g", "policies": "affinity"},
    ):  # fmt: skip
        assert nova.call("POST", "/os-server-groups", {"server_group": bad}).status == 400, bad
    soft = {"server_group": {"name": "s", "policies": ["soft-affinity"]}}
    assert nova.call("POST", "/os-server-groups", soft, "2.15").status == 200
    assert len(nova.call("GET", "/os-server-groups").json["server_groups"]) == 2
    assert len(nova.call("GET", "/os-server-groups?limit=1&offset=1").json["server_groups"]) == 1
    assert nova.admin("GET", "/os-server-groups").json["server_groups"] == []
    assert len(nova.admin("GET", "/os-server-groups?all_projects=1").json["server_groups"]) == 2
    assert nova.call("GET", path, token=nova.hosted.other).status == 404
    nova.admin("PUT", f"/os-quota-sets/{nova.project_id}", {"quota_set": {"server_groups": 2}})
    assert nova.call("POST", "/os-server-groups", soft, "2.15").status == 403
    assert nova.call("DELETE", path).status == 204
    assert nova.call("DELETE", path).status == 404


def test_zones_and_aggregates(nova: Nova) -> None:
    zone = {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    assert nova.call("GET", "/os-availability-zone").json == {"availabilityZoneInfo": [zone]}
    assert nova.call("GET", "/os-availability-zone/detail").status == 403
    (detail,) = nova.admin("GET", "/os-availability-zone/detail").json["availabilityZoneInfo"]
    assert detail["hosts"]["h1"]["nova-compute"]["active"] is True
    made = nova.admin("POST", "/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z1"}})
    assert made.status == 200
    aggregate = made.json["aggregate"]
    assert set(aggregate) == {"id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}
    path = f"/os-aggregates/{aggregate['id']}"
    assert "uuid" in nova.admin("GET", path, None, "2.41").json["aggregate"]
    assert nova.admin("POST", "/os-aggregates", {"aggregate": {"name": "a"}}).status == 409
    for bad in ({"name": ""}, {"name": "x" * 256}, {}, {"name": "b", "availability_zone": ""}):
        assert nova.admin("POST", "/os-aggregates", {"aggregate": bad}).status == 400, bad
    act = f"{path}/action"
    assert nova.admin("POST", act, {"add_host": {"host": "h1"}}).json["aggregate"]["hosts"] == ["h1"]
    assert nova.admin("POST", act, {"add_host": {"host": "h1"}}).status == 409
    assert nova.admin("POST", act, {"add_host": {"host": "h9"}}).status == 404
    assert nova.call("GET", "/os-availability-zone").json["availabilityZoneInfo"][0]["zoneName"] == "z1"
    server = nova.active(availability_zone="z1")
    assert nova.call("GET", f"/servers/{server}").json["server"]["OS-EXT-AZ:availability_zone"] == "z1"
    other = nova.admin("POST", "/os-aggregates", {"aggregate": {"name": "b", "availability_zone": "z2"}}).json
    clash = f"/os-aggregates/{other['aggregate']['id']}/action"
    assert nova.admin("POST", clash, {"add_host": {"host": "h1"}}).status == 409
    assert nova.admin("PUT", path, {"aggregate": {"name": "b"}}).status == 409
    assert nova.admin("PUT", path, {"aggregate": {}}).status == 400
    shown = nova.admin("PUT", path, {"aggregate": {"name": "c", "availability_zone": "z3"}}).json["aggregate"]
    assert (shown["name"], shown["metadata"]) == ("c", {"availability_zone": "z3"})
    shown = nova.admin("POST", act, {"set_metadata": {"metadata": {"k": "v", "availability_zone": None}}}).json
    assert shown["aggregate"]["metadata"] == {"k": "v"}
    assert nova.admin("DELETE", path).status == 400
    assert nova.admin("POST", act, {"remove_host": {"host": "h1"}}).json["aggregate"]["hosts"] == []
    assert nova.admin("POST", act, {"remove_host": {"host": "h1"}}).status == 404
    assert nova.admin("POST", act, {"x": {}}).status == 400
    assert len(nova.admin("GET", "/os-aggregates").json["aggregates"]) == 2
    for row in nova.admin("GET", "/os-aggregates").json["aggregates"]:
        assert nova.admin("DELETE", f"/os-aggregates/{row['id']}").status == 200
    assert nova.admin("GET", path).status == 404
    assert nova.admin("GET", "/os-aggregates/x").status == 404


def test_hypervisors(nova: Nova) -> None:
    server = nova.active()
    (short,) = nova.admin("GET", "/os-hypervisors").json["hypervisors"]
    assert short == {"id": 1, "hypervisor_hostname": "h1", "state": "up", "status": "enabled"}
    (whole,) = nova.admin("GET", "/os-hypervisors/detail").json["hypervisors"]
    assert (whole["vcpus_used"], whole["memory_mb_used"], whole["running_vms"]) == (1, 192, 1)
    assert isinstance(whole["cpu_info"], str)
    new = nova.admin("GET", "/os-hypervisors/detail?with_servers=true", None, "2.53").json["hypervisors"][0]
    assert new["servers"] == [{"uuid": server, "name": "web"}]
    assert new["cpu_info"] == {"arch": "x86_64"}
    assert nova.admin("GET", f"/os-hypervisors/{new['id']}", None, "2.53").json["hypervisor"]["id"] == new["id"]
    assert nova.admin("GET", "/os-hypervisors/1").json["hypervisor"]["id"] == 1
    assert nova.admin("GET", "/os-hypervisors/1/uptime").json["hypervisor"]["uptime"].startswith("up ")
    sums = nova.admin("GET", "/os-hypervisors/statistics").json["hypervisor_statistics"]
    assert (sums["count"], sums["vcpus"], sums["free_ram_mb"]) == (1, 8, 16384 - 192)
    assert len(nova.admin("GET", "/os-hypervisors/h/search").json["hypervisors"]) == 1
    assert nova.admin("GET", "/os-hypervisors/h1/servers").json["hypervisors"][0]["servers"] != []
    pattern = "/os-hypervisors?hypervisor_hostname_pattern="
    assert len(nova.admin("GET", f"{pattern}h&with_servers=1", None, "2.53").json["hypervisors"]) == 1
    for path, version, status in (
        ("/os-hypervisors/9", None, 404), ("/os-hypervisors/x", None, 404), ("/os-hypervisors/x", "2.53", 400),
        (f"/os-hypervisors/{NOTHING}", "2.53", 404), ("/os-hypervisors/zz/search", None, 404),
        ("/os-hypervisors/zz/servers", None, 404), (f"{pattern}zz", "2.53", 404), (f"{pattern}h&limit=1", "2.53", 400),
        ("/os-hypervisors?marker=9", "2.33", 400), ("/os-hypervisors?limit=1", "2.33", 200),
        ("/os-hypervisors?limit=1", "2.53", 200),
    ):  # fmt: skip
        assert nova.admin("GET", path, None, version).status == status, path
    assert nova.call("GET", "/os-hypervisors").status == 403


def test_services_and_hosts(nova: Nova) -> None:
    (row,) = nova.admin("GET", "/os-services").json["services"]
    assert set(row) == {"id", "binary", "host", "zone", "status", "state", "updated_at", "disabled_reason"}
    assert nova.admin("GET", "/os-services?host=x").json["services"] == []
    assert (
        nova.admin("GET", "/os-services?binary=nova-compute", None, "2.11").json["services"][0]["forced_down"] is False
    )
    body = {"host": "h1", "binary": "nova-compute"}
    answer = nova.admin("PUT", "/os-services/disable-log-reason", {**body, "disabled_reason": "why"})
    assert answer.json["service"]["disabled_reason"] == "why"
    assert nova.row(nova.server()["id"]).state == "error"
    assert nova.admin("PUT", "/os-services/enable", body).json["service"]["status"] == "enabled"
    assert nova.admin("PUT", "/os-services/disable", body).json["service"]["status"] == "disabled"
    assert nova.admin("PUT", "/os-services/enable", {**body, "host": "x"}).status == 404
    down = nova.admin("PUT", "/os-services/force-down", {**body, "forced_down": True}, "2.11")
    assert down.json["service"]["forced_down"] is True
    service = nova.admin("GET", "/os-services", None, "2.53").json["services"][0]
    assert service["state"] == "down"
    path = f"/os-services/{service['id']}"
    up = nova.admin("PUT", path, {"status": "enabled", "forced_down": False}, "2.53").json["service"]
    assert (up["status"], up["state"], up["forced_down"]) == ("enabled", "up", False)
    for body_, status in (
        ({}, 400), ({"status": "x"}, 400), ({"status": "enabled", "disabled_reason": "x"}, 400),
        ({"status": "disabled", "disabled_reason": "x"}, 200), ({"status": "enabled"}, 200),
    ):  # fmt: skip
        assert nova.admin("PUT", path, body_, "2.53").status == status, body_
    assert nova.admin("PUT", f"/os-services/{NOTHING}", {"status": "enabled"}, "2.53").status == 404
    assert nova.admin("PUT", "/os-services/x", {"status": "enabled"}, "2.53").status == 400
    nova.active()
    assert nova.admin("DELETE", path, None, "2.53").status == 409
    hosts = nova.admin("GET", "/os-hosts").json["hosts"]
    assert {"host_name": "h1", "service": "compute", "zone": "nova"} in hosts
    assert nova.admin("GET", "/os-hosts?zone=nova").json["hosts"] == hosts[:1]
    total = nova.admin("GET", "/os-hosts/h1").json["host"][0]["resource"]
    assert total == {"host": "h1", "project": "(total)", "cpu": 8, "memory_mb": 16384, "disk_gb": 100}
    assert nova.admin("PUT", "/os-hosts/h1", {"status": "disable"}).json == {"host": "h1", "status": "disabled"}
    assert nova.admin("PUT", "/os-hosts/h1", {"status": "enable"}).json == {"host": "h1", "status": "enabled"}
    for method, path_, body_, status in (
        ("PUT", "/os-hosts/h1", {"maintenance_mode": "enable"}, 501), ("PUT", "/os-hosts/h1", {}, 400),
        ("PUT", "/os-hosts/h1", {"status": "x"}, 400), ("PUT", "/os-hosts/x", {"status": "enable"}, 404),
        ("GET", "/os-hosts/x", None, 404), ("GET", "/os-hosts/h1/reboot", None, 501),
        ("GET", "/os-hosts/h1/x", None, 404),
    ):  # fmt: skip
        assert nova.admin(method, path_, body_).status == status, path_
    nova.compute.hosts.announce(Facts("h2", 1, 1024, 1))
    gone = nova.admin("GET", "/os-services?host=h2", None, "2.53").json["services"][0]
    assert nova.admin("DELETE", f"/os-services/{gone['id']}", None, "2.53").status == 204


def test_usage_and_audit(nova: Nova) -> None:
    server = nova.active()
    nova.clock.advance(3600)
    nova.alive()
    path = f"/os-simple-tenant-usage/{nova.project_id}"
    usage = nova.call("GET", path).json["tenant_usage"]
    (row,) = usage["server_usages"]
    assert (row["instance_id"], row["hours"], row["state"], row["ended_at"]) == (server, 1.0, "active", None)
    assert usage["total_memory_mb_usage"] == 192.0
    assert nova.call("GET", f"{path}?start=2001-01-01T00:00:00&end=2001-02-01T00:00:00").json == {"tenant_usage": {}}
    for bad in ("start=x", "end=2001-13-01", "start=2002-01-01T00:00:00&end=2001-01-01T00:00:00"):
        assert nova.call("GET", f"{path}?{bad}").status == 400, bad
    assert nova.call("GET", "/os-simple-tenant-usage").status == 403
    (total,) = nova.admin("GET", "/os-simple-tenant-usage").json["tenant_usages"]
    assert (total["tenant_id"], "server_usages" in total) == (nova.project_id, False)
    assert "server_usages" in nova.admin("GET", "/os-simple-tenant-usage?detailed=1").json["tenant_usages"][0]
    nova.active()
    answer = nova.call("GET", f"{path}?limit=1", None, "2.40").json
    assert answer["tenant_usage_links"][0]["rel"] == "next"
    following = answer["tenant_usage_links"][0]["href"].partition("/v2.1")[2]
    assert len(nova.call("GET", following, None, "2.40").json["tenant_usage"]["server_usages"]) == 1
    assert nova.call("GET", f"{path}?marker={NOTHING}", None, "2.40").status == 400
    log = nova.admin("GET", "/os-instance_usage_audit_log").json["instance_usage_audit_logs"]
    assert log["num_hosts"] == len(log["hosts_not_run"]) >= 1
    shown = nova.admin("GET", "/os-instance_usage_audit_log/2026-01-02%2003:04:05").json
    assert shown["instance_usage_audit_log"]["period_ending"] == "2026-01-01 00:00:00"
    assert nova.admin("GET", "/os-instance_usage_audit_log/x").status == 400
    assert nova.admin("GET", "/os-migrations").json == {"migrations": []}


def test_external_events(nova: Nova) -> None:
    server = nova.active()
    good = {"name": "network-changed", "server_uuid": server}
    bad = {"name": "network-vif-plugged", "server_uuid": NOTHING, "status": "completed", "tag": "t"}
    path = "/os-server-external-events"
    answer = nova.admin("POST", path, {"events": [good]})
    assert (answer.status, answer.json["events"]) == (200, [{**good, "status": "completed", "code": 200}])
    answer = nova.admin("POST", path, {"events": [good, bad]})
    assert (answer.status, [row["code"] for row in answer.json["events"]]) == (207, [200, 404])
    assert nova.admin("POST", path, {"events": [bad]}).status == 404
    for body in ({}, {"events": []}, {"events": [{"name": "x", "server_uuid": server}]}, {"events": [{}]}):
        assert nova.admin("POST", path, body).status == 400, body
    assert nova.call("POST", path, {"events": [good]}).status == 403


def test_versions_and_extensions(nova: Nova) -> None:
    answer = nova.hosted.call("GET", "/compute/", None)
    old, new = answer.json["versions"]
    assert (old["id"], old["version"], old["status"]) == ("v2.0", "", "DEPRECATED")
    assert (new["id"], new["version"], new["min_version"], new["status"]) == ("v2.1", "2.61", "2.1", "CURRENT")
    assert set(new) == {"id", "status", "version", "min_version", "updated", "links"}
    for version in (old, new):
        place = version["links"][0]["href"].removeprefix("http://cloud.test")
        shown = nova.hosted.call("GET", place, None).json["version"]
        assert shown["id"] == version["id"]
        assert "media-types" in shown
    assert nova.call("GET", "/extensions/os-consoles").json["extension"]["alias"] == "os-consoles"
    assert nova.call("GET", "/extensions/nothing").status == 404
    assert len(nova.call("GET", "/extensions").json["extensions"]) > 40


def test_a_slash_too_many_names_nothing(nova: Nova) -> None:
    for path in ("/servers/", "/os-keypairs/", "/os-volumes/"):
        assert nova.call("GET", path).status == 404
    assert nova.call("DELETE", "/os-security-groups/").status == 404
