"""What one tenant owns, no other tenant sees, changes or removes: walked over every route that takes an id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from andromede.db import open_database
from andromede.identity import passwords
from andromede.web.api import Mount
from andromede.web.routes import Route
from tests.support.clock import FakeClock
from tests.support.hosted_api import Hosted
from tests.unit.hosting.test_doors import versions

SHARED = ("/flavors", "/types", "/os-availability-zone", "/extensions", "/service-profiles", "/schemas", "/metadefs")
"""Paths whose things belong to the installation and are shown to everybody."""


@dataclass(slots=True)
class World:
    """What the first tenant made: ids by the word of the request that made them."""

    hosted: Hosted
    ids: dict[str, str] = field(default_factory=dict)

    def make(self, word: str, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> str:
        answer = self.hosted.call("POST", path, self.hosted.member, body, headers)
        assert answer.status < 300, f"{word}: {answer.status} {answer.raw[:400]!r}"
        told = answer.json
        found = next(iter(told.values())) if len(told) == 1 else told
        made = found if isinstance(found, str) else found.get("id") or found["name"]
        self.ids[word] = str(made).rpartition("/")[2]
        return self.ids[word]


def furnish(world: World) -> None:
    """One of everything that needs no worker."""
    types = {mount.type for mount in world.hosted.mounts}
    if "network" in types:
        network = world.make("network", "/network/v2.0/networks", {"network": {"name": "n"}})
        subnet = world.make("subnet", "/network/v2.0/subnets", {
            "subnet": {"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}})  # fmt: skip
        group = world.make("group", "/network/v2.0/security-groups", {"security_group": {"name": "g"}})
        world.make("rule", "/network/v2.0/security-group-rules", {"security_group_rule": {
            "security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22}})  # fmt: skip
        world.make("port", "/network/v2.0/ports", {"port": {"network_id": network, "security_groups": [group]}})
        router = world.make("router", "/network/v2.0/routers", {"router": {"name": "r"}})
        body = {"subnet_id": subnet}
        put = f"/network/v2.0/routers/{router}/add_router_interface"
        assert world.hosted.call("PUT", put, world.hosted.member, body).status == 200
        world.make("pool", "/network/v2.0/subnetpools", {"subnetpool": {
            "name": "p", "prefixes": ["10.128.0.0/16"], "default_prefixlen": 24}})  # fmt: skip
        world.make("addresses", "/network/v2.0/address-groups", {"address_group": {"name": "a", "addresses": []}})
        if "load-balancer" in types:
            balancer = {"name": "b", "vip_subnet_id": subnet, "listeners": [
                {"name": "l", "protocol": "HTTP", "protocol_port": 80, "default_pool": {
                    "name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}]}  # fmt: skip
            world.make("balancer", "/load-balancer/v2/lbaas/loadbalancers", {"loadbalancer": balancer})
            for word in ("listeners", "pools"):
                told = world.hosted.call("GET", f"/load-balancer/v2/lbaas/{word}", world.hosted.member).json
                world.ids[word] = str(told[word][0]["id"])
    if "key-manager" in types:
        world.make("secret", "/key-manager/v1/secrets", {
            "name": "s", "payload": "hush", "payload_content_type": "text/plain"})  # fmt: skip
        world.make("container", "/key-manager/v1/containers", {"name": "c", "type": "generic", "secret_refs": []})
    if "compute" in types:
        world.make("keypair", "/compute/v2.1/os-keypairs", {"keypair": {"name": "k-of-demo"}})
        world.make("servergroup", "/compute/v2.1/os-server-groups", {
            "server_group": {"name": "sg", "policies": ["affinity"]}})  # fmt: skip
    if "block-storage" in types:
        volume = world.make("volume", f"/volume/v3/{world.hosted.project_id}/volumes", {
            "volume": {"size": 1, "name": "v"}})  # fmt: skip
        assert volume
    if "image" in types:
        world.make("image", "/image/v2/images", {
            "name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "private"})  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("strangers")
    memory, passes = passwords.MEMORY_KIB, passwords.PASSES
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1
    db = open_database(f"sqlite:///{folder}/test.db")
    made = World(Hosted(db, folder / "data", FakeClock()))
    try:
        furnish(made)
        yield made
    finally:
        made.hosted.site.close()
        db.close()
        passwords.MEMORY_KIB, passwords.PASSES = memory, passes


def routes(world: World) -> list[tuple[Mount, Route]]:
    """Routes with one id in their path, but for those of what everybody sees."""
    found = [(mount, route) for mount in world.hosted.mounts for route in mount.routes]
    return [
        (mount, route)
        for mount, route in found
        if not route.public and _ids(route) and not any(part in route.path for part in SHARED)
    ]


def _ids(route: Route) -> bool:
    return len([name for name in route.names() if name not in ("project", "project_id", "tenant_id")]) == 1


def place(world: World, mount: Mount, route: Route, value: str, project: str) -> str:
    path = re.sub(r"\{(project|project_id|tenant_id)\}", project, route.path)
    return mount.prefix + re.sub(r"\{\w+\}", value, path)


def owned(world: World) -> list[tuple[Mount, Route, str, bytes]]:
    """(mount, route, id, answer) of everything that its owner can GET."""
    found = []
    for mount, route in routes(world):
        if route.method != "GET":
            continue
        for value in world.ids.values():
            where = place(world, mount, route, value, world.hosted.project_id)
            answer = world.hosted.call("GET", where, world.hosted.member, b"", versions(mount, route))
            if answer.status == 200 and value.encode() in answer.raw:
                found.append((mount, route, value, answer.raw))
    return found


def test_a_stranger_sees_nothing(world: World) -> None:
    seen = owned(world)
    assert len({value for _, _, value, _ in seen}) >= len(world.ids) - 2, "the walk reaches nearly everything"
    for mount, route, value, _ in seen:
        for project in (world.hosted.project_id, world.hosted.other_project):
            where = place(world, mount, route, value, project)
            answer = world.hosted.call("GET", where, world.hosted.other, b"", versions(mount, route))
            assert answer.status in (403, 404) or value.encode() not in answer.raw, f"{where}: {answer.raw[:300]!r}"


def test_lists_of_a_stranger_name_nothing_of_others(world: World) -> None:
    for mount in world.hosted.mounts:
        for route in mount.routes:
            if route.method != "GET" or route.public or _ids(route):
                continue
            where = place(world, mount, route, "x", world.hosted.other_project)
            for query in ("", "?all_tenants=1", f"?project_id={world.hosted.project_id}", "?name=v"):
                answer = world.hosted.call("GET", where + query, world.hosted.other, b"", versions(mount, route))
                for word, value in world.ids.items():
                    assert value.encode() not in answer.raw, f"{where}{query} tells of {word}"


def test_a_stranger_changes_nothing(world: World) -> None:
    before = [(mount, route, value, raw) for mount, route, value, raw in owned(world)]
    assert before
    for mount, route in routes(world):
        if route.method in ("GET", "HEAD"):
            continue
        for value in world.ids.values():
            for project in (world.hosted.project_id, world.hosted.other_project):
                where = place(world, mount, route, value, project)
                for body in ({}, {"x": {}}, json.loads(_body(route))):
                    answer = world.hosted.call(
                        route.method, where, world.hosted.other, body, versions(mount, route)
                    )  # fmt: skip
                    assert answer.status >= 400 or route.method == "PUT", f"{route.method} {where}: {answer.status}"
    for mount, route, value, raw in before:
        where = place(world, mount, route, value, world.hosted.project_id)
        answer = world.hosted.call("GET", where, world.hosted.member, b"", versions(mount, route))
        assert answer.raw == raw, f"{where} is not what it was"


def _body(route: Route) -> str:
    """A body that a change of a name would have."""
    word = route.path.strip("/").split("/")[-2].rstrip("s").replace("-", "_") if "/" in route.path else "x"
    return json.dumps({word: {"name": "stolen"}})
