"""Load balancers over the API: their life, their statuses, their lists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.balancers import NETWORK, PORT, SUBNET
from tests.unit.balancer.cloud import Balanced

MISSING = "00000000-0000-4000-8000-00000000ffff"


def test_versions(cloud: Balanced) -> None:
    root = cloud.hosted.call("GET", "/load-balancer/", None)
    assert root.status == 200
    names = [version["id"] for version in root.json["versions"]]
    assert names == [f"v2.{n}" for n in range(len(names))]
    assert [version["status"] for version in root.json["versions"]][-2:] == ["SUPPORTED", "CURRENT"]


def test_a_load_balancer_comes_and_goes(cloud: Balanced) -> None:
    made = cloud.call(
        "POST", "/loadbalancers", {"loadbalancer": {"name": "web", "vip_subnet_id": SUBNET, "tags": ["a"]}}
    )
    assert made.status == 201, made.raw
    shown = made.json["loadbalancer"]
    assert (shown["provisioning_status"], shown["operating_status"]) == ("PENDING_CREATE", "OFFLINE")
    assert (shown["vip_address"], shown["vip_subnet_id"], shown["vip_network_id"]) == ("10.0.0.10", SUBNET, NETWORK)
    assert (shown["listeners"], shown["pools"], shown["provider"]) == ([], [], "octavia")
    where = f"/loadbalancers/{shown['id']}"
    assert cloud.call("PUT", where, {"loadbalancer": {"name": "x"}}).status == 409
    cloud.settle()
    shown = cloud.get(where)["loadbalancer"]
    assert (shown["provisioning_status"], shown["operating_status"]) == ("ACTIVE", "ONLINE")
    assert (shown["created_at"], shown["updated_at"]) == ("2026-01-01T00:00:00", "2026-01-01T00:00:00")
    assert shown["vip_port_id"] in cloud.vips.bound
    put = cloud.call("PUT", where, {"loadbalancer": {"name": "x", "admin_state_up": False, "tags": None}})
    assert put.json["loadbalancer"]["provisioning_status"] == "PENDING_UPDATE"
    cloud.settle()
    shown = cloud.get(where)["loadbalancer"]
    assert (shown["name"], shown["admin_state_up"], shown["tags"]) == ("x", False, [])
    assert shown["operating_status"] == "OFFLINE"
    assert shown["updated_at"] is not None
    for bad in ({"vip_address": "10.0.0.9"}, {"name": 7}, {"color": "red"}):
        assert cloud.call("PUT", where, {"loadbalancer": bad}).status == 400
    assert cloud.call("PUT", where, {"name": "x"}).status == 400
    assert cloud.call("DELETE", where).status == 204
    assert cloud.get(where)["loadbalancer"]["provisioning_status"] == "PENDING_DELETE"
    assert cloud.call("DELETE", where).status == 409
    assert cloud.call("PUT", where, {"loadbalancer": {"name": "y"}}).status == 409
    cloud.settle()
    gone = cloud.call("GET", where)
    assert (gone.status, gone.json["faultcode"], gone.json["debuginfo"]) == (404, "Client", None)
    assert (cloud.vips.ports, cloud.carrier.listing()) == ({}, [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"vip_subnet_id": "x"}, 400),
        ({"vip_subnet_id": MISSING}, 404),
        ({"vip_subnet_id": SUBNET, "vip_address": "nowhere"}, 400),
        ({"vip_subnet_id": SUBNET, "vip_address": "fd00::1%x"}, 400),
        ({"vip_subnet_id": SUBNET, "vip_address": "169.254.169.254"}, 400),
        ({"vip_subnet_id": SUBNET, "provider": "vendor"}, 400),
        ({"vip_subnet_id": SUBNET, "flavor_id": MISSING}, 400),
        ({"vip_subnet_id": SUBNET, "availability_zone": "nova"}, 400),
        ({"vip_subnet_id": SUBNET, "vip_qos_policy_id": MISSING}, 501),
        ({"vip_subnet_id": SUBNET, "color": "red"}, 400),
        ({"vip_subnet_id": SUBNET, "listeners": [{"protocol": "SCTP", "protocol_port": 1}]}, 501),
    ],
)
def test_what_is_refused(cloud: Balanced, body: dict[str, Any], status: int) -> None:
    answer = cloud.call("POST", "/loadbalancers", {"loadbalancer": body})
    assert answer.status == status, answer.raw
    assert set(answer.json) == {"faultcode", "faultstring", "debuginfo"}
    assert (cloud.vips.ports, cloud.db.all("SELECT id FROM balancer")) == ({}, [])


def test_a_port_of_the_tenant_stays(cloud: Balanced) -> None:
    balancer = cloud.balancer(vip_subnet_id=None, vip_port_id=PORT, vip_address="10.0.0.77")
    assert cloud.get(f"/loadbalancers/{balancer}")["loadbalancer"]["vip_address"] == "10.0.0.77"
    taken = cloud.call("POST", "/loadbalancers", {"loadbalancer": {"vip_port_id": PORT}})
    assert taken.status == 409


def test_a_whole_tree_at_once(cloud: Balanced) -> None:
    member = {"address": "10.0.0.21", "protocol_port": 80}
    pool = {"name": "web", "protocol": "HTTP", "lb_algorithm": "LEAST_CONNECTIONS", "members": [member],
            "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}}  # fmt: skip
    rule = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/api"}
    listeners = [
        {"name": "one", "protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "web", "protocol": "HTTP",
         "lb_algorithm": "ROUND_ROBIN"},
         "l7policies": [{"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "api", "protocol": "HTTP",
                         "lb_algorithm": "ROUND_ROBIN"}, "rules": [rule]}]},
        {"name": "two", "protocol": "TCP", "protocol_port": 81},
    ]  # fmt: skip
    made = cloud.make(
        "/loadbalancers", "loadbalancer", {"vip_network_id": NETWORK, "pools": [pool], "listeners": listeners}
    )
    assert [one["name"] for one in made["listeners"]] == ["one", "two"]
    assert {one["name"] for one in made["pools"]} == {"web", "api"}
    web = next(one for one in made["pools"] if one["name"] == "web")
    assert web["members"][0]["address"] == "10.0.0.21"
    assert web["healthmonitor"]["expected_codes"] == "200"
    assert made["listeners"][0]["default_pool_id"] == web["id"]
    assert made["listeners"][0]["l7policies"][0]["rules"][0]["value"] == "/api"
    part = cloud.carrier.parts[made["id"]]
    assert {each.port for each in part.listeners} == {80, 81}
    assert part.listeners[0].policies[0].rules[0].value == "/api"
    statuses = cloud.get(f"/loadbalancers/{made['id']}/status")["statuses"]["loadbalancer"]
    assert [one["name"] for one in statuses["listeners"]] == ["one", "two"]
    assert statuses["listeners"][0]["l7policies"][0]["rules"][0]["type"] == "PATH"
    assert statuses == cloud.get(f"/loadbalancers/{made['id']}/statuses")["statuses"]["loadbalancer"]
    refused = cloud.call("DELETE", f"/loadbalancers/{made['id']}")
    assert (refused.status, "children" in refused.json["faultstring"]) == (400, True)
    assert cloud.call("DELETE", f"/loadbalancers/{made['id']}?cascade=true").status == 204
    cloud.settle()
    for table in ("balancer", "balancer_part", "balancer_traffic"):
        assert cloud.db.all(f"SELECT * FROM {table}") == []


def test_what_checks_find_shows(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    pool = cloud.pool(balancer)
    listener = cloud.listener(balancer, default_pool_id=pool)
    one, two = cloud.server(pool, "10.0.0.21"), cloud.server(pool, "10.0.0.22")

    def seen() -> tuple[str, str, str, str]:
        shown = cloud.get(f"/loadbalancers/{balancer}/status")["statuses"]["loadbalancer"]
        members = {each["id"]: each["operating_status"] for each in shown["listeners"][0]["pools"][0]["members"]}
        return members[one], members[two], shown["listeners"][0]["operating_status"], shown["operating_status"]

    assert seen() == ("NO_MONITOR", "NO_MONITOR", "ONLINE", "ONLINE")
    monitor = {"pool_id": pool, "type": "TCP", "delay": 2, "timeout": 1, "max_retries": 1}
    made = cloud.make("/healthmonitors", "healthmonitor", monitor)
    assert seen() == ("OFFLINE", "OFFLINE", "ONLINE", "ONLINE")
    for found, expected in (
        ({one: True, two: True}, ("ONLINE", "ONLINE", "ONLINE", "ONLINE")),
        ({one: True, two: False}, ("ONLINE", "ERROR", "DEGRADED", "DEGRADED")),
        ({one: False, two: False}, ("ERROR", "ERROR", "ERROR", "ERROR")),
        ({one: True, two: True}, ("ONLINE", "ONLINE", "ONLINE", "ONLINE")),
    ):
        cloud.carrier.members = found
        cloud.health.run()
        assert seen() == expected
        assert cloud.get(f"/listeners/{listener}")["listener"]["operating_status"] == expected[2]
    drained = cloud.call("PUT", f"/pools/{pool}/members/{one}", {"member": {"weight": 0}})
    assert drained.status == 200
    cloud.settle()
    assert seen()[0] == "DRAINING"
    cloud.call("PUT", f"/pools/{pool}/members/{two}", {"member": {"admin_state_up": False}})
    cloud.settle()
    assert seen()[1] == "OFFLINE"
    assert cloud.call("DELETE", f"/healthmonitors/{made['id']}").status == 204
    cloud.settle()
    assert seen()[0] == "DRAINING"


def test_counters_outlive_a_process(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    listener = cloud.listener(balancer)
    other = cloud.listener(balancer, 81)

    def counted(path: str) -> Any:
        return cloud.get(f"{path}/stats")["stats"]

    zero = {"bytes_in": 0, "bytes_out": 0, "active_connections": 0, "total_connections": 0, "request_errors": 0}
    assert counted(f"/loadbalancers/{balancer}") == zero
    now = {"bytes_in": 10, "bytes_out": 20, "active_connections": 2, "total_connections": 3, "request_errors": 1}
    cloud.carrier.traffic = {listener: now, other: dict(zero)}
    cloud.health.run()
    assert counted(f"/listeners/{listener}") == now
    cloud.carrier.life = 2
    cloud.carrier.traffic = {listener: {**zero, "bytes_in": 5}, other: dict(zero)}
    cloud.health.run()
    cloud.health.run()
    assert counted(f"/listeners/{listener}") == {**now, "bytes_in": 15, "active_connections": 0}
    assert counted(f"/loadbalancers/{balancer}")["total_connections"] == 3
    assert counted(f"/listeners/{other}") == zero
    cloud.call("DELETE", f"/listeners/{listener}")
    cloud.settle()
    assert cloud.db.all("SELECT listener_id FROM balancer_traffic WHERE listener_id = ?", (listener,)) == []


def test_what_died_is_made_again_and_strays_go(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    part = cloud.carrier.parts[balancer]
    cloud.carrier.remove(balancer)
    cloud.health.run()
    assert cloud.get(f"/loadbalancers/{balancer}")["loadbalancer"]["provisioning_status"] == "PENDING_UPDATE"
    cloud.settle()
    assert cloud.carrier.parts == {balancer: part}
    cloud.carrier.parts["stray"] = part
    cloud.health.run()
    assert cloud.carrier.listing() == [balancer]


def test_a_load_balancer_that_comes_during_a_look_is_no_stray(cloud: Balanced, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = cloud.carrier.listing

    def late() -> list[str]:
        cloud.balancer()
        return listing()

    monkeypatch.setattr(cloud.carrier, "listing", late)
    cloud.health.run()
    (made,) = cloud.get("/loadbalancers")["loadbalancers"]
    assert listing() == [made["id"]]


def test_failover(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    where = f"/loadbalancers/{balancer}/failover"
    assert cloud.call("PUT", where).status == 403
    assert cloud.call("PUT", where, None, cloud.admin).status == 202
    assert cloud.call("PUT", where, None, cloud.admin).status == 409
    cloud.settle()
    assert cloud.get(f"/loadbalancers/{balancer}")["loadbalancer"]["provisioning_status"] == "ACTIVE"


def test_an_engine_that_refuses_is_an_error_that_can_be_mended(
    cloud: Balanced, monkeypatch: pytest.MonkeyPatch
) -> None:
    from andromede.errors import Invalid

    balancer = cloud.balancer()
    plain = cloud.carrier.ensure

    def refuse(part: Any) -> None:
        raise Invalid("haproxy did not start: so there")

    monkeypatch.setattr(cloud.carrier, "ensure", refuse)
    listener = cloud.listener(balancer)
    shown = cloud.get(f"/loadbalancers/{balancer}")["loadbalancer"]
    assert (shown["provisioning_status"], shown["operating_status"]) == ("ERROR", "ERROR")
    assert cloud.get(f"/listeners/{listener}")["listener"]["provisioning_status"] == "ERROR"
    monkeypatch.setattr(cloud.carrier, "ensure", plain)
    assert cloud.call("PUT", f"/listeners/{listener}", {"listener": {"name": "again"}}).status == 200
    cloud.settle()
    assert cloud.get(f"/loadbalancers/{balancer}")["loadbalancer"]["provisioning_status"] == "ACTIVE"


def test_lists(cloud: Balanced) -> None:
    first = cloud.balancer(name="a", tags=["red", "old"])
    second = cloud.balancer(name="b", tags=["red"], description="second")
    third = cloud.balancer(name="c", admin_state_up=False)

    def names(query: str) -> list[str]:
        return [one["name"] for one in cloud.get(f"/loadbalancers?{query}")["loadbalancers"]]

    assert names("") == ["a", "b", "c"]
    assert names("name=b") == ["b"]
    assert names("vip_address=10.0.0.11") == ["b"]
    assert names("provisioning_status=ACTIVE&admin_state_up=false") == ["c"]
    assert names(f"vip_subnet_id={SUBNET}&description=second") == ["b"]
    assert names("tags=red") == ["a", "b"]
    assert names("tags=red,old") == ["a"]
    assert names("tags-any=old,new") == ["a"]
    assert names("not-tags=red") == ["c"]
    assert names("not-tags-any=old") == ["b", "c"]
    assert names("sort=name:desc") == ["c", "b", "a"]
    assert names("sort_key=admin_state_up,name&sort_dir=asc,desc") == ["c", "b", "a"]
    assert names("provider=octavia&operating_status=OFFLINE") == ["c"]
    page = cloud.get("/loadbalancers?limit=2&sort=name")
    assert [one["name"] for one in page["loadbalancers"]] == ["a", "b"]
    (link,) = page["loadbalancers_links"]
    assert link["rel"] == "next"
    rest = cloud.hosted.call("GET", link["href"].removeprefix("http://cloud.test"), cloud.member).json
    assert [one["name"] for one in rest["loadbalancers"]] == ["c"]
    assert rest["loadbalancers_links"][0]["rel"] == "previous"
    back = cloud.get(f"/loadbalancers?limit=1&marker={third}&page_reverse=True")
    assert [one["id"] for one in back["loadbalancers"]] == [second]
    fields = cloud.get("/loadbalancers?fields=id&fields=name&name=a")["loadbalancers"]
    assert fields == [{"id": first, "name": "a"}]
    assert cloud.get(f"/loadbalancers/{first}?fields=name")["loadbalancer"] == {"name": "a"}
    for bad in ("color=red", "sort=color", "sort=name:up", "limit=-1", "limit=x", f"marker={MISSING}"):
        assert cloud.call("GET", f"/loadbalancers?{bad}").status == 400, bad


def test_who_may(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    pool = cloud.pool(balancer)
    hosted = cloud.hosted
    assert cloud.get("/loadbalancers", hosted.other)["loadbalancers"] == []
    assert len(cloud.get("/loadbalancers", cloud.admin)["loadbalancers"]) == 1
    for path in (f"/loadbalancers/{balancer}", f"/pools/{pool}", f"/loadbalancers/{balancer}/stats"):
        assert cloud.call("GET", path, None, hosted.reader).status == 200
        assert cloud.call("GET", path, None, hosted.other).status == 403
    assert cloud.call("DELETE", f"/pools/{pool}", None, hosted.reader).status == 403
    assert cloud.call("PUT", f"/pools/{pool}", {"pool": {}}, hosted.other).status == 403
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "project_id": hosted.project_id}}
    assert cloud.call("POST", "/loadbalancers", body, hosted.other).status == 403
    made = cloud.call("POST", "/loadbalancers", body, cloud.admin)
    assert made.json["loadbalancer"]["project_id"] == hosted.project_id


def test_quotas(cloud: Balanced) -> None:
    project = cloud.hosted.project_id
    shown = cloud.get(f"/quotas/{project}")["quota"]
    assert shown["loadbalancer"] == shown["load_balancer"] == shown["l7rule"] == -1
    assert cloud.get("/quotas/defaults")["quota"]["pool"] == -1
    assert cloud.call("PUT", f"/quotas/{project}", {"quota": {"pool": 1}}).status == 403
    for bad in ({"pool": -2}, {"pool": "x"}, {"poem": 1}):
        assert cloud.call("PUT", f"/quotas/{project}", {"quota": bad}, cloud.admin).status == 400
    put = cloud.call("PUT", f"/quotas/{project}", {"quota": {"load_balancer": 1, "pool": 1, "member": 0}}, cloud.admin)
    assert (put.status, put.json["quota"]["loadbalancer"]) == (202, 1)
    balancer = cloud.balancer()
    over = cloud.call("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})
    assert (over.status, "Quota" in over.json["faultstring"]) == (403, True)
    pool = cloud.pool(balancer)
    body = {"loadbalancer_id": balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    assert cloud.call("POST", "/pools", {"pool": body}).status == 403
    member = {"address": "10.0.0.1", "protocol_port": 1}
    assert cloud.call("POST", f"/pools/{pool}/members", {"member": member}).status == 403
    assert cloud.get(f"/pools/{pool}")["pool"]["members"] == []
    (listed,) = cloud.get("/quotas", cloud.admin)["quotas"]
    assert (listed["project_id"], listed["pool"], listed["listener"]) == (project, 1, None)
    assert cloud.call("DELETE", f"/quotas/{project}", None, cloud.admin).status == 204
    assert cloud.call("DELETE", f"/quotas/{project}", None, cloud.admin).status == 404


def test_what_the_installation_offers(cloud: Balanced) -> None:
    assert [one["name"] for one in cloud.get("/providers")["providers"]] == ["octavia", "amphora"]
    assert cloud.get("/flavors") == {"flavors": [], "flavors_links": []}
    assert cloud.get("/availabilityzones")["availability_zones"] == []
    assert cloud.call("GET", "/flavors/x").status == 404
    assert cloud.call("GET", "/availabilityzones/x").status == 404
    assert cloud.get("/providers/octavia/flavor_capabilities", cloud.admin) == {"flavor_capabilities": []}
    assert cloud.call("GET", "/providers/x/flavor_capabilities", None, cloud.admin).status == 404
    amphorae = cloud.hosted.call("GET", "/load-balancer/v2.0/octavia/amphorae", cloud.admin)
    assert amphorae.json == {"amphorae": [], "amphorae_links": []}
    assert cloud.hosted.call("GET", "/load-balancer/v2.0/octavia/amphorae/x", cloud.admin).status == 404
    assert cloud.hosted.call("GET", "/load-balancer/v2/lbaas/loadbalancers", cloud.member).status == 200
