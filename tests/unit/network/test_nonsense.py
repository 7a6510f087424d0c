"""Every attribute of every resource given nonsense: refused or taken, never an error of the server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from andromede.network.routes import RULES
from tests.support.neutron import Neutron
from tests.unit.network.test_routers import Town

NONSENSE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 62, 1.5, "", "x", "x" * 300, "\u0000"[:0], "10.0.0.0/8", "fd00::/64", "10.0.0.77",
    "fd00::7", "0.0.0.0/0", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "255.255.255.255", "\U0001f427", [],
    [None], ["x"], [{}], [[]], {}, {"a": 1}, [{"ip_address": "10.0.0.99"}], [{"subnet_id": None}],
    [{"start": "10.0.0.5", "end": "fd00::5"}], [{"destination": "0.0.0.0/0", "nexthop": "10.0.0.9"}],
    {"network_id": "x", "enable_snat": None}, ["10.0.0.0/8", "10.0.0.0/9"],
)  # fmt: skip


def minimal(town: Town) -> dict[str, dict[str, Any]]:
    """Bodies that would create one of each."""
    group = town.n.get("security-groups")[0]["id"]
    return {
        "networks": {}, "subnets": {"network_id": town.network, "cidr": "10.99.0.0/24", "ip_version": 4},
        "ports": {"network_id": town.network}, "routers": {}, "floatingips": {"floating_network_id": town.public},
        "security-groups": {"name": "g"}, "security-group-rules": {"security_group_id": group, "direction": "ingress"},
        "default-security-group-rules": {"direction": "ingress"}, "address-groups": {},
        "subnetpools": {"name": "p", "prefixes": ["10.0.0.0/8"]}, "address-scopes": {"ip_version": 4},
        "rbac-policies": {"object_type": "network", "object_id": town.network, "action": "access_as_shared",
                          "target_tenant": "*"},
    }  # fmt: skip


@pytest.mark.parametrize("url", list(RULES))
def test_nonsense_is_never_an_error_of_the_server(neutron: Neutron, url: str) -> None:
    town = Town(neutron)
    shape, rules = RULES[url]
    base = minimal(town)[url]
    neutron.ok("PUT", f"quotas/{neutron.hosted.project_id}", {"quota": dict.fromkeys(("port", "network"), -1)}, "admin")
    for attr in shape.attrs:
        changed = False
        for value in NONSENSE:
            answer = neutron.call("POST", url, {shape.singular: {**base, attr.name: value}}, "admin")
            assert answer.status in (201, 400, 403, 404, 409), f"{attr.name}={value!r}: {answer.raw!r}"
            if answer.status != 201:
                continue
            made = answer.json[shape.singular]
            if rules.update is not None and not changed:
                changed = True
                for other in NONSENSE:
                    body = {shape.singular: {attr.name: other}}
                    answer = neutron.call("PUT", f"{url}/{made['id']}", body, "admin")
                    assert answer.status in (200, 400, 403, 404, 409), f"{attr.name}={other!r}: {answer.raw!r}"
            assert neutron.call("GET", f"{url}/{made['id']}", who="admin").status == 200
            assert neutron.call("DELETE", f"{url}/{made['id']}", who="admin").status in (204, 409)
    for attr in shape.attrs:
        for value in NONSENSE:
            text = quote(value if isinstance(value, str) else json.dumps(value))
            answer = neutron.call("GET", f"{url}?{attr.name}={text}", who="admin")
            assert answer.status in (200, 400), f"{attr.name}={text}: {answer.raw!r}"
    neutron.settle()
