"""Listeners, pools, members, monitors, policies and rules over the API: attributes, rules, and what is carried."""

from __future__ import annotations

from typing import Any

import pytest

from andromede.engines.haproxy import config
from tests.support.balancers import CERTIFICATE
from tests.unit.balancer.cloud import Balanced

MISSING = "00000000-0000-4000-8000-00000000ffff"


def test_a_listener(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    made = cloud.make(
        "/listeners", "listener",
        {"loadbalancer_id": balancer, "protocol": "HTTP", "protocol_port": 80, "name": "web", "tags": ["t"],
         "insert_headers": {"X-Forwarded-For": "true", "X-Forwarded-Port": "false"}, "connection_limit": 100,
         "timeout_client_data": 1000, "allowed_cidrs": ["10.0.0.0/24"]},
    )  # fmt: skip
    assert (made["provisioning_status"], made["operating_status"]) == ("PENDING_CREATE", "OFFLINE")
    shown = cloud.get(f"/listeners/{made['id']}")["listener"]
    assert (shown["provisioning_status"], shown["operating_status"]) == ("ACTIVE", "ONLINE")
    assert shown["loadbalancers"] == [{"id": balancer}]
    assert (shown["default_pool_id"], shown["l7policies"], shown["sni_container_refs"]) == (None, [], [])
    assert (shown["timeout_client_data"], shown["timeout_member_data"]) == (1000, 50000)
    (part,) = cloud.carrier.parts[balancer].listeners
    assert (part.headers, part.limit, part.sources, part.client_ms) == (
        ("X-Forwarded-For",),
        100,
        ("10.0.0.0/24",),
        1000,
    )
    same = {"loadbalancer_id": balancer, "protocol": "TCP", "protocol_port": 80}
    assert cloud.call("POST", "/listeners", {"listener": same}).status == 409
    assert cloud.listener(balancer, 80, "UDP"), "another family"
    where = f"/listeners/{made['id']}"
    changed = cloud.call("PUT", where, {"listener": {"allowed_cidrs": None, "connection_limit": None, "name": "x"}})
    assert (changed.json["listener"]["connection_limit"], changed.json["listener"]["allowed_cidrs"]) == (-1, None)
    assert changed.json["listener"]["provisioning_status"] == "PENDING_UPDATE"
    assert cloud.call("PUT", where, {"listener": {"name": "y"}}).status == 409, "while the change is under way"
    cloud.settle()
    for bad in ({"protocol": "TCP"}, {"protocol_port": 1}, {"connection_limit": -2}, {"allowed_cidrs": ["x"]},
                {"allowed_cidrs": ["fd00::%x }/64"]},
                {"default_pool_id": "x"}, {"insert_headers": {"X-Evil": "true"}}, {"color": 1}):  # fmt: skip
        assert cloud.call("PUT", where, {"listener": bad}).status == 400, bad
    assert cloud.call("PUT", where, {"listener": {"default_pool_id": MISSING}}).status == 404
    assert cloud.get(where)["listener"]["provisioning_status"] == "ACTIVE", "a refused change changes nothing"
    assert cloud.call("PUT", where, {"listener": {"admin_state_up": False}}).status == 200
    cloud.settle()
    assert [each.protocol for each in cloud.carrier.parts[balancer].listeners] == ["UDP"]
    assert cloud.call("DELETE", where).status == 204
    assert cloud.get(where)["listener"]["provisioning_status"] == "PENDING_DELETE"
    cloud.settle()
    assert cloud.call("GET", where).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"protocol": "HTTP"}, 400),
        ({"protocol": "GOPHER", "protocol_port": 70}, 400),
        ({"protocol": "HTTP", "protocol_port": 0}, 400),
        ({"protocol": "PROMETHEUS", "protocol_port": 70}, 501),
        ({"protocol": "TERMINATED_HTTPS", "protocol_port": 443}, 400),
        ({"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": "x"}, 400),
        ({"protocol": "HTTP", "protocol_port": 80, "default_tls_container_ref": CERTIFICATE}, 400),
        ({"protocol": "TCP", "protocol_port": 80, "insert_headers": {"X-Forwarded-For": "true"}}, 400),
        ({"protocol": "HTTP", "protocol_port": 80, "insert_headers": {"X-Forwarded-For": "maybe"}}, 400),
        ({"protocol": "TERMINATED_HTTPS", "protocol_port": 1, "default_tls_container_ref": CERTIFICATE,
          "client_authentication": "MANDATORY"}, 400),
        ({"protocol": "TERMINATED_HTTPS", "protocol_port": 1, "default_tls_container_ref": CERTIFICATE,
          "client_crl_container_ref": CERTIFICATE}, 400),
        ({"protocol": "TERMINATED_HTTPS", "protocol_port": 1, "default_tls_container_ref": CERTIFICATE,
          "tls_versions": ["TLSv1"]}, 400),
        ({"protocol": "TERMINATED_HTTPS", "protocol_port": 1, "default_tls_container_ref": CERTIFICATE,
          "tls_ciphers": "a b"}, 400),
        ({"protocol": "TCP", "protocol_port": 80, "l7policies": [{"action": "REJECT"}]}, 400),
        ({"protocol": "HTTP", "protocol_port": 80, "default_pool_id": MISSING}, 404),
        ({"protocol": "HTTP", "protocol_port": 80, "name": "a\nb"}, 400),
    ],
)  # fmt: skip
def test_listeners_that_cannot_be(cloud: Balanced, body: dict[str, Any], status: int) -> None:
    balancer = cloud.balancer()
    answer = cloud.call("POST", "/listeners", {"listener": {"loadbalancer_id": balancer, **body}})
    assert answer.status == status, answer.raw
    assert cloud.db.all("SELECT id FROM balancer_part") == []
    assert cloud.call("POST", "/listeners", {"listener": {"protocol": "HTTP", "protocol_port": 80}}).status == 400
    stranger = {"protocol": "HTTP", "protocol_port": 80, "loadbalancer_id": MISSING}
    assert cloud.call("POST", "/listeners", {"listener": stranger}).status == 404


def test_tls(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    listener = cloud.listener(
        balancer, 443, "TERMINATED_HTTPS", default_tls_container_ref=CERTIFICATE, sni_container_refs=[CERTIFICATE],
        client_ca_tls_container_ref=CERTIFICATE, client_authentication="OPTIONAL", tls_versions=["TLSv1.2"],
        alpn_protocols=["h2", "http/1.1"], hsts_max_age=10, hsts_preload=True, hsts_include_subdomains=True,
        insert_headers={"X-SSL-Client-CN": "true"},
    )  # fmt: skip
    (part,) = cloud.carrier.parts[balancer].listeners
    assert (part.certificates, part.client_ca, part.client_auth) == ((b"PEM", b"PEM"), b"PEM", "OPTIONAL")
    assert (part.versions, part.alpn, part.headers) == (("TLSv1.2",), ("h2", "http/1.1"), ("X-SSL-Client-CN",))
    assert part.hsts == "max-age=10; includeSubDomains; preload"
    where = f"/listeners/{listener}"
    refused = cloud.call("PUT", where, {"listener": {"default_tls_container_ref": "http://x/containers/none"}})
    assert (refused.status, "Could not retrieve certificate" in refused.json["faultstring"]) == (400, True)
    for bad in ({"sni_container_refs": [5]}, {"sni_container_refs": [["x"]]}, {"client_ca_tls_container_ref": ["x"]}):
        refused = cloud.call("PUT", where, {"listener": bad})
        assert (refused.status, "Invalid input for listener" in refused.json["faultstring"]) == (400, True), bad
    assert cloud.call("PUT", where, {"listener": {"default_tls_container_ref": CERTIFICATE}}).status == 200


def test_pools(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    listener = cloud.listener(balancer)
    made = cloud.make(
        "/pools", "pool",
        {"listener_id": listener, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
         "session_persistence": {"type": "APP_COOKIE", "cookie_name": "crumb"}},
    )  # fmt: skip
    shown = cloud.get(f"/pools/{made['id']}")["pool"]
    assert (shown["listeners"], shown["loadbalancers"]) == ([{"id": listener}], [{"id": balancer}])
    assert (shown["healthmonitor_id"], shown["members"]) == (None, [])
    assert shown["session_persistence"]["cookie_name"] == "crumb"
    assert cloud.get(f"/listeners/{listener}")["listener"]["default_pool_id"] == made["id"]
    again = {"listener_id": listener, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    assert cloud.call("POST", "/pools", {"pool": again}).status == 409
    (part,) = cloud.carrier.parts[balancer].pools
    assert (part.stick, part.cookie) == ("APP_COOKIE", "crumb")
    put = cloud.call(
        "PUT", f"/pools/{made['id']}", {"pool": {"session_persistence": None, "lb_algorithm": "SOURCE_IP"}}
    )
    assert (put.json["pool"]["session_persistence"], put.json["pool"]["lb_algorithm"]) == (None, "SOURCE_IP")
    cloud.settle()
    for bad, status in (
        ({"protocol": "TCP"}, 400), ({"lb_algorithm": "RANDOM"}, 400), ({"lb_algorithm": "SOURCE_IP_PORT"}, 501),
        ({"session_persistence": {"type": "APP_COOKIE"}}, 400),
        ({"session_persistence": {"type": "HTTP_COOKIE", "cookie_name": "x"}}, 400),
        *(({"session_persistence": {"type": "APP_COOKIE", "cookie_name": name}}, 400)
          for name in ("a b", "a'b", "a#b", "a)b", 'a"b', "a\n")),
        ({"session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 5}}, 400),
        ({"tls_container_ref": CERTIFICATE}, 501), ({"tls_versions": ["TLSv1"]}, 400),
    ):  # fmt: skip
        assert cloud.call("PUT", f"/pools/{made['id']}", {"pool": bad}).status == status, bad
    assert cloud.call("PUT", f"/pools/{made['id']}",
                      {"pool": {"tls_enabled": True, "ca_tls_container_ref": CERTIFICATE}}).status == 200  # fmt: skip
    cloud.settle()
    (part,) = cloud.carrier.parts[balancer].pools
    assert (part.tls, part.ca) == (True, b"PEM")
    chosen = {"tls_ciphers": "ECDHE+AESGCM", "tls_versions": ["TLSv1.2"], "alpn_protocols": ["h2", "http/1.1"]}
    assert cloud.call("PUT", f"/pools/{made['id']}", {"pool": chosen}).status == 200
    cloud.settle()
    cloud.server(made["id"], "10.0.0.21", 443)
    (line,) = [
        line
        for line in config.render(cloud.carrier.parts[balancer], "sock", lambda pem: pem.decode()).splitlines()
        if line.startswith("  server ")
    ]
    assert line.endswith(
        " ssl verify required ca-file PEM ciphers 'ECDHE+AESGCM' ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2"
        " alpn h2,http/1.1"
    )
    tcp = {"loadbalancer_id": balancer, "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    for body, status in (
        ({**tcp, "session_persistence": {"type": "HTTP_COOKIE"}}, 400), ({**tcp, "protocol": "SCTP"}, 501),
        ({"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}, 400),
        ({**tcp, "protocol": "UDP", "tls_enabled": True}, 400), ({**tcp, "loadbalancer_id": MISSING}, 404),
    ):  # fmt: skip
        assert cloud.call("POST", "/pools", {"pool": body}).status == status, body
    other = cloud.pool(balancer, "TCP")
    assert cloud.call("PUT", f"/listeners/{listener}", {"listener": {"default_pool_id": other}}).status == 400
    assert cloud.call("DELETE", f"/pools/{made['id']}").status == 204
    cloud.settle()
    assert cloud.get(f"/listeners/{listener}")["listener"]["default_pool_id"] is None


def test_members(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    pool = cloud.pool(balancer)
    member = cloud.server(pool, "10.0.0.21", weight=3, backup=True, monitor_port=99, monitor_address="10.0.0.99")
    where = f"/pools/{pool}/members"
    shown = cloud.get(f"{where}/{member}")["member"]
    assert (shown["address"], shown["weight"], shown["backup"], shown["vnic_type"]) == ("10.0.0.21", 3, True, "normal")
    assert cloud.get(f"{where}?address=10.0.0.21&weight=3")["members"][0]["id"] == member
    assert cloud.get(f"{where}?weight=4")["members"] == []
    (part,) = cloud.carrier.parts[balancer].pools[0].members
    assert (part.monitor_address, part.monitor_port, part.backup) == ("10.0.0.99", 99, True)
    other = cloud.pool(balancer)
    assert cloud.call("GET", f"/pools/{other}/members/{member}").status == 404
    for body, status in (
        ({"address": "10.0.0.21", "protocol_port": 80}, 409), ({"address": "x", "protocol_port": 80}, 400),
        ({"address": "169.254.169.254", "protocol_port": 80}, 400), ({"address": "10.0.0.22"}, 400),
        ({"address": "10.0.0.22", "protocol_port": 80, "weight": 257}, 400),
        ({"address": "10.0.0.22", "protocol_port": 80, "monitor_address": "x"}, 400),
        ({"address": "fd00::1%x\n  source 0.0.0.0", "protocol_port": 80}, 400),
        ({"address": "10.0.0.22", "protocol_port": 80, "monitor_address": "fd00::1%x disabled"}, 400),
    ):  # fmt: skip
        assert cloud.call("POST", where, {"member": body}).status == status, body
    assert cloud.call("PUT", f"{where}/{member}", {"member": {"address": "10.0.0.1"}}).status == 400
    assert cloud.call("PUT", f"{where}/{member}", {"member": {"weight": None}}).json["member"]["weight"] == 1
    cloud.settle()
    kept = {"address": "10.0.0.21", "protocol_port": 80, "weight": 9}
    for bad in ({"monitor_address": "x"}, {"monitor_address": "10.0.0.99\n  source 0.0.0.0"}):
        assert cloud.call("PUT", where, {"members": [{**kept, **bad}]}).status == 400, bad
    batch = cloud.call("PUT", where, {"members": [kept, {"address": "10.0.0.30", "protocol_port": 81}]})
    assert (batch.status, batch.raw) == (202, b"")
    cloud.settle()
    rows = {row["address"]: row for row in cloud.get(where)["members"]}
    assert (rows["10.0.0.21"]["id"], rows["10.0.0.21"]["weight"], len(rows)) == (member, 9, 2)
    assert cloud.call("PUT", f"{where}?additive_only=true",
                      {"members": [{"address": "10.0.0.31", "protocol_port": 1}]}).status == 202  # fmt: skip
    cloud.settle()
    assert len(cloud.get(where)["members"]) == 3
    assert cloud.call("PUT", where, {"members": [kept, kept]}).status == 400
    assert cloud.call("PUT", where, {"members": []}).status == 202
    cloud.settle()
    assert cloud.get(where)["members"] == []
    assert cloud.call("PUT", f"/pools/{MISSING}/members", {"members": []}).status == 404


def test_monitors(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    pool = cloud.pool(balancer)
    body = {"pool_id": pool, "type": "HTTP", "delay": 5, "timeout": 4, "max_retries": 2}
    for change, status in (
        ({"type": "SCTP"}, 501), ({"type": "UDP-CONNECT"}, 400), ({"timeout": -1}, 400),
        ({"max_retries": 11}, 400), ({"url_path": "x"}, 400), ({"expected_codes": "2xx"}, 400),
        ({"http_version": 2.0}, 400), ({"domain_name": "x.test"}, 400), ({"type": "TCP", "url_path": "/"}, 400),
        ({"pool_id": MISSING}, 404), ({"http_method": "BREW"}, 400),
    ):  # fmt: skip
        answer = cloud.call("POST", "/healthmonitors", {"healthmonitor": {**body, **change}})
        assert answer.status == status, (change, answer.raw)
    assert cloud.call("POST", "/healthmonitors", {"healthmonitor": {"type": "TCP"}}).status == 400
    made = cloud.make("/healthmonitors", "healthmonitor",
                      {**body, "http_version": 1.1, "domain_name": "x.test", "expected_codes": "200-204"})  # fmt: skip
    assert cloud.call("POST", "/healthmonitors", {"healthmonitor": body}).status == 409
    where = f"/healthmonitors/{made['id']}"
    shown = cloud.get(where)["healthmonitor"]
    assert (shown["pools"], shown["http_method"], shown["url_path"]) == ([{"id": pool}], "GET", "/")
    assert (shown["operating_status"], shown["max_retries_down"]) == ("ONLINE", 3)
    assert cloud.get(f"/pools/{pool}")["pool"]["healthmonitor_id"] == made["id"]
    monitor = cloud.carrier.parts[balancer].pools[0].monitor
    assert monitor is not None
    assert (monitor.rise, monitor.fall, monitor.host, monitor.version) == (2, 3, "x.test", 1.1)
    assert (
        cloud.call("PUT", where, {"healthmonitor": {"delay": 9, "domain_name": None}}).json["healthmonitor"]["delay"]
        == 9
    )
    cloud.settle()
    assert cloud.call("PUT", where, {"healthmonitor": {"type": "TCP"}}).status == 400
    assert [one["id"] for one in cloud.get("/healthmonitors?type=HTTP")["healthmonitors"]] == [made["id"]]
    assert cloud.call("DELETE", where).status == 204
    cloud.settle()
    datagrams = cloud.pool(balancer, "UDP")
    assert cloud.make("/healthmonitors", "healthmonitor", {**body, "pool_id": datagrams, "type": "UDP-CONNECT"})


def test_members_of_datagrams_are_chosen_by_their_health(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    pool = cloud.pool(balancer, "UDP", session_persistence={"type": "SOURCE_IP", "persistence_timeout": 60})
    cloud.listener(balancer, 53, "UDP", default_pool_id=pool)
    member = cloud.server(pool, "10.0.0.21", 53)
    cloud.make("/healthmonitors", "healthmonitor",
               {"pool_id": pool, "type": "UDP-CONNECT", "delay": 5, "timeout": 4, "max_retries": 2})  # fmt: skip
    cloud.carrier.members = {member: False}
    cloud.health.run()
    cloud.settle()
    assert [each.up for each in cloud.carrier.parts[balancer].pools[0].members] == [False]


def test_policies_and_rules(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    listener = cloud.listener(balancer)
    pool = cloud.pool(balancer)

    def policy(**more: Any) -> dict[str, Any]:
        return cloud.make("/l7policies", "l7policy", {"listener_id": listener, **more})

    first = policy(action="REJECT", name="first")
    second = policy(action="REDIRECT_TO_POOL", redirect_pool_id=pool)
    third = policy(action="REDIRECT_TO_URL", redirect_url="http://x.test/a", position=1)
    fourth = policy(action="REDIRECT_PREFIX", redirect_prefix="https://x.test", redirect_http_code=308, position=2)

    def order() -> list[str]:
        rows = cloud.get(f"/l7policies?listener_id={listener}&sort=position")["l7policies"]
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["id"] for row in rows]

    assert order() == [third["id"], fourth["id"], first["id"], second["id"]]
    assert (third["redirect_http_code"], fourth["redirect_http_code"]) == (302, 308)
    assert cloud.call("PUT", f"/l7policies/{first['id']}", {"l7policy": {"position": 1}}).status == 200
    cloud.settle()
    assert order()[0] == first["id"]
    changed = cloud.call("PUT", f"/l7policies/{third['id']}", {"l7policy": {"action": "REDIRECT_TO_POOL",
                         "redirect_pool_id": pool}})  # fmt: skip
    assert (changed.status, changed.json["l7policy"]["redirect_url"]) == (200, None), changed.raw
    cloud.settle()
    back = cloud.call("PUT", f"/l7policies/{third['id']}", {"l7policy": {"action": "REJECT"}})
    assert back.json["l7policy"]["redirect_pool_id"] is None
    cloud.settle()
    assert cloud.carrier.parts[balancer].listeners[0].policies == (), "a policy without rules does nothing"
    where = f"/l7policies/{first['id']}/rules"
    rule = cloud.make(where, "rule", {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "X-Way", "value": "a b"})
    assert "name" not in rule
    assert cloud.get(f"{where}/{rule['id']}")["rule"]["value"] == "a b"
    assert cloud.get(f"{where}?type=PATH")["rules"] == []
    (carried,) = cloud.carrier.parts[balancer].listeners[0].policies
    assert (carried.action, carried.rules[0].key) == ("REJECT", "X-Way")
    put = cloud.call("PUT", f"{where}/{rule['id']}", {"rule": {"invert": True}})
    assert put.json["rule"]["invert"] is True
    cloud.settle()
    assert cloud.get(f"/l7policies/{first['id']}")["l7policy"]["rules"] == [{"id": rule["id"]}]
    for bad in (
        {"type": "HEADER", "compare_type": "EQUAL_TO", "value": "x"},
        {"type": "PATH", "compare_type": "EQUAL_TO", "value": "x", "key": "k"},
        {"type": "PATH", "compare_type": "REGEX", "value": "("}, {"type": "PATH", "compare_type": "LIKE", "value": "x"},
        {"type": "FILE_TYPE", "compare_type": "CONTAINS", "value": "x"},
        {"type": "COOKIE", "compare_type": "EQUAL_TO", "key": "a b", "value": "x"},
        {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "a'", "value": "x' -f /etc/hostname 'y"},
        {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "a#b", "value": "x"},
        {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "a", "value": "x\n"},
        {"type": "SSL_CONN_HAS_CERT", "compare_type": "EQUAL_TO", "value": "True"},
        {"type": "PATH", "compare_type": "EQUAL_TO", "value": "a\nb"},
    ):  # fmt: skip
        assert cloud.call("POST", where, {"rule": bad}).status == 400, bad
    for bad in (
        {"action": "REDIRECT_TO_URL"}, {"action": "REJECT", "redirect_url": "http://x"},
        {"action": "REDIRECT_TO_POOL", "redirect_url": "http://x"}, {"action": "REDIRECT_TO_URL", "redirect_url": "ftp://x"},
        {"action": "REJECT", "redirect_http_code": 301}, {"action": "REJECT", "position": 0},
    ):  # fmt: skip
        assert cloud.call("POST", "/l7policies", {"l7policy": {"listener_id": listener, **bad}}).status == 400, bad
    assert cloud.call("PUT", f"/l7policies/{first['id']}", {"l7policy": {"position": "x"}}).status == 400
    tcp = cloud.listener(balancer, 81, "TCP")
    assert cloud.call("POST", "/l7policies", {"l7policy": {"listener_id": tcp, "action": "REJECT"}}).status == 400
    assert cloud.call("DELETE", f"/pools/{pool}").status == 409, "a policy redirects to it"
    assert cloud.call("DELETE", f"/l7policies/{second['id']}").status == 204
    cloud.settle()
    assert order() == [first["id"], third["id"], fourth["id"]]
    assert cloud.call("DELETE", f"{where}/{rule['id']}").status == 204
    cloud.settle()
    assert cloud.call("DELETE", f"/listeners/{listener}").status == 204
    cloud.settle()
    assert cloud.get("/l7policies")["l7policies"] == []


def test_rules_of_client_certificates(cloud: Balanced) -> None:
    balancer = cloud.balancer()
    listener = cloud.listener(
        balancer, 443, "TERMINATED_HTTPS", default_tls_container_ref=CERTIFICATE,
        l7policies=[{"action": "REJECT", "rules": [
            {"type": "SSL_CONN_HAS_CERT", "compare_type": "EQUAL_TO", "value": "True", "invert": True},
            {"type": "SSL_VERIFY_RESULT", "compare_type": "EQUAL_TO", "value": "0", "invert": True},
            {"type": "SSL_DN_FIELD", "compare_type": "EQUAL_TO", "key": "CN", "value": "x"}]}],
    )  # fmt: skip
    assert len(cloud.carrier.parts[balancer].listeners[0].policies[0].rules) == 3
    policy = cloud.get(f"/listeners/{listener}")["listener"]["l7policies"][0]["id"]
    for bad in (
        {"type": "SSL_CONN_HAS_CERT", "compare_type": "EQUAL_TO", "value": "False"},
        {"type": "SSL_VERIFY_RESULT", "compare_type": "REGEX", "value": "0"},
        {"type": "SSL_DN_FIELD", "compare_type": "EQUAL_TO", "key": "C N", "value": "x"},
    ):
        assert cloud.call("POST", f"/l7policies/{policy}/rules", {"rule": bad}).status == 400, bad
