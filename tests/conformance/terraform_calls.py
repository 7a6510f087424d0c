"""What OpenTofu's OpenStack provider asks of a cloud, replayed: `python -m tests.conformance.terraform_calls`.

Create everything, read all of it back equal, plan a second time and find nothing to change, destroy. The calls, their
order and their success codes are those of terraform-provider-openstack over gophercloud v2; no binary of either is on
a package index. Then the calls with which cluster-api-provider-openstack begins. Exit code 1 at the first difference.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.cluster_calls import cluster_api
from tests.support import hosted
from tests.support.gopher import Gopher
from tests.support.installation import Installation

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3xQ1tbOaCkI4FLzRi0rGPjCsrKf5Q0l5Q0H3N6c0cB someone@example"
USER_DATA = b"#!/bin/sh\necho from the user data\n"


@dataclass(slots=True)
class Thing:
    """A resource of the plan. `wanted`: what was written; `read`: what stands there now, None when it is gone."""

    name: str
    wanted: Mapping[str, Any]
    read: Callable[[], Mapping[str, Any] | None]
    destroy: Callable[[], None]

    def plan(self) -> dict[str, tuple[Any, Any]]:
        """What would be changed: attribute -> (there, wanted)."""
        there = self.read()
        assert there is not None, f"{self.name} is gone"
        return {key: (there.get(key), value) for key, value in self.wanted.items() if there.get(key) != value}


@dataclass(slots=True)
class Run:
    """One apply and destroy."""

    cloud: Gopher
    things: list[Thing] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, wanted: Mapping[str, Any], read: Any, destroy: Any) -> None:
        thing = Thing(name, wanted, read, destroy)
        changes = thing.plan()
        assert not changes, f"{name}, just made: {changes}"
        self.things.append(thing)
        print(f"  made {name}", flush=True)

    def simple(self, kind: str, path: str, body: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> str:
        """A resource of the network service: POST, GET until it stands, PUT of its tags; DELETE until 404."""
        cloud, plural = self.cloud, path
        made = cloud.call("POST", "network", plural, {kind: dict(body)})[kind]
        there = f"{plural}/{made['id']}"

        def read() -> Any:
            return cloud.call("GET", "network", there)[kind]

        if "status" in made:
            cloud.until(f"{kind} {made['id']}", lambda: str(read()["status"]), ("ACTIVE", "DOWN"), ("BUILD",))
        wanted = {key: value for key, value in body.items() if key != "external_gateway_info"} | dict(more or {})
        if kind in ("network", "subnet", "router", "port", "security_group", "floatingip"):
            tags = ["blue", "made-by-tofu"]
            cloud.call("PUT", "network", f"{there}/tags", {"tags": tags}, ok=(200,))
            wanted = {**wanted, "tags": tags}

        def destroy() -> None:
            cloud.retried("DELETE", "network", there)
            assert cloud.gone("network", there)

        def sorted_tags() -> Any:
            found = read()
            return {**found, **({"tags": sorted(found["tags"])} if "tags" in found else {})}

        self.ids[kind] = made["id"]
        self.add(f"{kind} {made.get('name', '')}", wanted, sorted_tags, destroy)
        return str(made["id"])


def look_ups(run: Run) -> None:
    """Data sources: image, flavor and the network outside, by name; each must have exactly one hit."""
    cloud = run.cloud
    images = cloud.call("GET", "image", "images?name=tiny")["images"]
    assert [image["name"] for image in images] == ["tiny"]
    run.ids["image"] = images[0]["id"]
    flavors = cloud.call("GET", "compute", "flavors/detail")["flavors"]
    run.ids["flavor"] = next(flavor["id"] for flavor in flavors if flavor["name"] == "suite-small")
    run.ids["larger"] = next(flavor["id"] for flavor in flavors if flavor["name"] == "suite-larger")
    outside = cloud.call("GET", "network", "networks?router:external=true")["networks"]
    assert len(outside) == 1
    named = cloud.call("GET", "network", f"networks?name={outside[0]['name']}")["networks"]
    assert [network["id"] for network in named] == [outside[0]["id"]]
    run.ids["public"] = outside[0]["id"]


def keypair(run: Run) -> None:
    cloud = run.cloud
    body = {"name": "tofu", "public_key": PUBLIC_KEY}
    cloud.call("POST", "compute", "os-keypairs", {"keypair": body}, ok=(200, 201))

    def destroy() -> None:
        cloud.call("DELETE", "compute", "os-keypairs/tofu", ok=(202, 204))
        assert cloud.gone("compute", "os-keypairs/tofu")

    run.add("keypair", body, lambda: cloud.call("GET", "compute", "os-keypairs/tofu")["keypair"], destroy)


def networks(run: Run) -> None:
    """Network, subnet, router with its interface, security group with rules, port, floating IP."""
    cloud = run.cloud
    network = run.simple("network", "networks", {"name": "tofu", "admin_state_up": True})
    pool = [{"start": "192.168.77.10", "end": "192.168.77.99"}]
    subnet = run.simple("subnet", "subnets", {
        "name": "tofu", "network_id": network, "cidr": "192.168.77.0/24", "ip_version": 4, "enable_dhcp": True,
        "gateway_ip": "192.168.77.1", "dns_nameservers": ["9.9.9.9"], "allocation_pools": pool,
    })  # fmt: skip
    gateway = {"network_id": run.ids["public"]}
    router = run.simple("router", "routers", {"name": "tofu", "external_gateway_info": gateway, "admin_state_up": True})
    assert cloud.call("GET", "network", f"routers/{router}")["router"]["external_gateway_info"]["network_id"]
    interface(run, router, subnet)
    group = run.simple("security_group", "security-groups", {"name": "tofu", "description": "of the plan"})
    rules = cloud.call("GET", "network", f"security-groups/{group}")["security_group"]["security_group_rules"]
    assert sorted((rule["direction"], rule["ethertype"]) for rule in rules) == [("egress", "IPv4"), ("egress", "IPv6")]
    for rule in rules:  # delete_default_rules
        cloud.call("DELETE", "network", f"security-group-rules/{rule['id']}")
    for wanted in (
        {"direction": "egress", "ethertype": "IPv4"},
        {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
         "remote_ip_prefix": "0.0.0.0/0"},
        {"direction": "ingress", "ethertype": "IPv4", "protocol": "icmp", "remote_group_id": group},
    ):  # fmt: skip
        rule_of(run, {**wanted, "security_group_id": group})
    fixed = [{"subnet_id": subnet, "ip_address": "192.168.77.20"}]
    pairs = [{"ip_address": "192.168.77.200"}]
    port = run.simple("port", "ports", {
        "name": "tofu", "network_id": network, "admin_state_up": True, "fixed_ips": fixed, "security_groups": [group],
    })  # fmt: skip
    cloud.call("PUT", "network", f"ports/{port}", {"port": {"allowed_address_pairs": pairs}}, ok=(200, 201))
    there = cloud.call("GET", "network", f"ports/{port}")["port"]["allowed_address_pairs"]
    assert [pair["ip_address"] for pair in there] == ["192.168.77.200"]


def interface(run: Run, router: str, subnet: str) -> None:
    cloud = run.cloud
    body = {"subnet_id": subnet}
    added = cloud.call("PUT", "network", f"routers/{router}/add_router_interface", body, ok=(200,))
    port = added["port_id"]

    def read() -> Any:
        return cloud.call("GET", "network", f"ports/{port}")["port"]

    cloud.until("router interface", lambda: str(read()["status"]), ("ACTIVE",), ("BUILD", "PENDING_CREATE", "DOWN"))

    def destroy() -> None:
        cloud.call("PUT", "network", f"routers/{router}/remove_router_interface", {**body, "port_id": port}, ok=(200,))
        assert cloud.gone("network", f"ports/{port}")

    run.add("router interface", {"device_id": router}, read, destroy)


def rule_of(run: Run, wanted: Mapping[str, Any]) -> None:
    """A rule; a second one like it is refused with the word that the provider looks for."""
    cloud, path = run.cloud, "security-group-rules"
    made = cloud.call("POST", "network", path, {"security_group_rule": wanted})["security_group_rule"]
    again = cloud.call("POST", "network", path, {"security_group_rule": wanted}, ok=(409,))
    assert again["NeutronError"]["type"] == "SecurityGroupRuleExists"
    there = f"{path}/{made['id']}"

    def destroy() -> None:
        cloud.call("DELETE", "network", there)
        assert cloud.gone("network", there)

    run.add("rule", wanted, lambda: cloud.call("GET", "network", there)["security_group_rule"], destroy)


def floating(run: Run) -> None:
    """An address outside; associated with the port by a PUT."""
    cloud = run.cloud
    body = {"floating_network_id": run.ids["public"]}
    made = cloud.call("POST", "network", "floatingips", {"floatingip": body})["floatingip"]
    there = f"floatingips/{made['id']}"

    def read() -> Any:
        return cloud.call("GET", "network", there)["floatingip"]

    cloud.until("floating IP", lambda: str(read()["status"]), ("ACTIVE", "DOWN"))
    assert len(cloud.call("GET", "network", f"networks?id={run.ids['public']}")["networks"]) == 1
    cloud.call("PUT", "network", there, {"floatingip": {"port_id": run.ids["port"]}}, ok=(200, 201))

    def destroy() -> None:
        cloud.call("PUT", "network", there, {"floatingip": {"port_id": None}}, ok=(200, 201))
        cloud.call("DELETE", "network", there)
        assert cloud.gone("network", there)

    wanted = {**body, "port_id": run.ids["port"], "fixed_ip_address": "192.168.77.20"}
    run.add("floating IP", wanted, read, destroy)


def volume(run: Run) -> None:
    cloud = run.cloud
    body = {"name": "tofu", "size": 1, "description": "of the plan", "metadata": {"colour": "blue"}}
    made = cloud.call("POST", "block-storage", "volumes", {"volume": body}, ok=(202,))["volume"]
    there = f"volumes/{made['id']}"

    def read() -> Any:
        return cloud.call("GET", "block-storage", there)["volume"]

    def waits(*wanted: str) -> None:
        pending = ("creating", "downloading", "extending", "detaching", "in-use", "attaching")
        cloud.until("volume", lambda: str(read()["status"]), wanted, pending)

    waits("available")
    cloud.call("POST", "block-storage", f"{there}/action", {"os-extend": {"new_size": 2}}, ok=(202,))
    waits("available")

    def destroy() -> None:
        waits("available")
        cloud.call("DELETE", "block-storage", there)
        cloud.until("volume", lambda: "gone" if cloud.gone("block-storage", there) else "there", ("gone",), ("there",))

    run.ids["volume"] = made["id"]
    run.add("volume", {**body, "size": 2}, read, destroy)


def image(run: Run) -> None:
    """An image of bytes, then its properties by a patch."""
    cloud, content = run.cloud, b"bytes of an image " * 4096
    body = {"name": "tofu", "container_format": "bare", "disk_format": "raw", "visibility": "private", "min_disk": 0,
            "min_ram": 0, "protected": False, "tags": ["blue"], "colour": "blue"}  # fmt: skip
    made = cloud.call("POST", "image", "images", body, ok=(201,))
    there = f"images/{made['id']}"
    octets = {"Content-Type": "application/octet-stream"}
    cloud.call("PUT", "image", f"{there}/file", content, ok=(204,), **octets)

    def read() -> Any:
        return cloud.call("GET", "image", there)

    cloud.until("image", lambda: str(read()["status"]), ("active",), ("queued", "saving", "importing"))
    patch = [
        {"op": "replace", "path": "/min_disk", "value": 1},
        {"op": "replace", "path": "/name", "value": "tofu two"},
        {"op": "replace", "path": "/tags", "value": ["green"]},
        {"op": "add", "path": "/shape", "value": "round"},
        {"op": "remove", "path": "/colour"},
    ]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    cloud.call("PATCH", "image", there, patch_bytes(patch), ok=(200,), **kind)

    def destroy() -> None:
        cloud.call("DELETE", "image", there)
        assert cloud.gone("image", there)

    changed = {k: v for k, v in body.items() if k != "colour"} | {"name": "tofu two", "tags": ["green"], "min_disk": 1}
    facts = {"size": len(content), "checksum": hashlib.md5(content).hexdigest(), "shape": "round"}
    run.add("image", {**changed, **facts}, read, destroy)


def patch_bytes(patch: Any) -> bytes:
    import json

    return json.dumps(patch).encode()


def instance(run: Run) -> None:
    """A server on the port, with a keypair, user data, metadata and tags; read back with all that belongs to it."""
    cloud = run.cloud
    hits = cloud.call("GET", "network", f"ports?id={run.ids['port']}")["ports"]
    assert len(hits) == 1
    active = cloud.call("GET", "network", f"networks?id={run.ids['network']}&status=ACTIVE")["networks"]
    assert len(active) == 1
    cloud.microversions["compute"] = "2.52"
    body = {
        "name": "tofu", "imageRef": run.ids["image"], "flavorRef": run.ids["flavor"], "key_name": "tofu",
        "networks": [{"port": run.ids["port"]}], "metadata": {"colour": "blue"}, "config_drive": True,
        "user_data": base64.b64encode(USER_DATA).decode(), "tags": ["blue"],
    }  # fmt: skip
    made = cloud.call("POST", "compute", "servers", {"server": body})["server"]
    there = f"servers/{made['id']}"

    def server() -> Any:
        found = cloud.call("GET", "compute", there)["server"]
        assert found["status"] != "ERROR", found.get("fault")
        return found

    cloud.until("server", lambda: str(server()["status"]), ("ACTIVE",), ("BUILD",))

    def read() -> Any:
        found = server()
        (addresses,) = found["addresses"].values()
        for address in addresses:
            assert address["OS-EXT-IPS-MAC:mac_addr"] and address["OS-EXT-IPS:type"] in ("fixed", "floating")
        tags = cloud.call("GET", "compute", f"{there}/tags")["tags"]
        fixed = [a["addr"] for a in addresses if a["OS-EXT-IPS:type"] == "fixed"]
        cloud.call("GET", "image", f"images/{found['image']['id']}")
        return {**found, "tags": tags, "image_id": found["image"]["id"], "fixed": fixed}

    def destroy() -> None:
        cloud.call("DELETE", "compute", there)
        cloud.until("server", lambda: "gone" if cloud.gone("compute", there) else "there", ("gone",), ("there",))

    run.ids["server"] = made["id"]
    wanted = {"name": "tofu", "key_name": "tofu", "metadata": {"colour": "blue"}, "tags": ["blue"],
              "image_id": run.ids["image"], "fixed": ["192.168.77.20"]}  # fmt: skip
    run.add("instance", wanted, read, destroy)


def changes(run: Run) -> None:
    """What a changed plan does to a server: stop, start, resize and confirm."""
    cloud, there = run.cloud, f"servers/{run.ids['server']}"

    def act(body: Any, *wanted: str, ok: tuple[int, ...] = (202,)) -> None:
        cloud.call("POST", "compute", f"{there}/action", body, ok=ok)
        pending = ("ACTIVE", "SHUTOFF", "RESIZE", "VERIFY_RESIZE")
        cloud.until("server", lambda: str(cloud.call("GET", "compute", there)["server"]["status"]), wanted, pending)

    act({"os-stop": None}, "SHUTOFF")
    act({"os-start": None}, "ACTIVE")
    act({"resize": {"flavorRef": run.ids["larger"]}}, "VERIFY_RESIZE")
    act({"confirmResize": None}, "ACTIVE", ok=(201, 202, 204))
    print("  stopped, started and resized the instance", flush=True)


def attachment(run: Run) -> None:
    cloud = run.cloud
    path = f"servers/{run.ids['server']}/os-volume_attachments"
    cloud.microversions["compute"] = "2.49"
    body = {"volumeAttachment": {"volumeId": run.ids["volume"], "tag": "data"}}
    cloud.call("POST", "compute", path, body, ok=(200,))
    there = f"{path}/{run.ids['volume']}"

    def read() -> Any:
        return cloud.call("GET", "compute", there)["volumeAttachment"]

    def status() -> str:
        return str(cloud.call("GET", "block-storage", f"volumes/{run.ids['volume']}")["volume"]["status"])

    cloud.until("volume", status, ("in-use",), ("available", "attaching", "reserved"))

    def destroy() -> None:
        cloud.call("DELETE", "compute", there)
        cloud.until("attachment", lambda: "gone" if cloud.gone("compute", there) else "there", ("gone",), ("there",))

    wanted = {"volumeId": run.ids["volume"], "serverId": run.ids["server"]}
    run.add("attachment", wanted, read, destroy)


def objects(run: Run) -> None:
    """A container and an object, whose ETag is the MD5 of its bytes."""
    cloud, content = run.cloud, b"bytes of an object"
    cloud.call("PUT", "object-store", "tofu", ok=(201, 202), **{"X-Container-Meta-Colour": "blue"})
    cloud.call("PUT", "object-store", "tofu/one", content, ok=(201,))
    etag = hashlib.md5(content).hexdigest()

    def read() -> Any:
        box = cloud.call("HEAD", "object-store", "tofu", ok=(204,))
        one = cloud.call("HEAD", "object-store", "tofu/one")
        return {"colour": box.headers["x-container-meta-colour"], "etag": one.headers["etag"].strip('"')}

    def destroy() -> None:  # force_destroy
        for item in cloud.call("GET", "object-store", "tofu?format=json"):
            cloud.call("DELETE", "object-store", f"tofu/{item['name']}")
        cloud.call("DELETE", "object-store", "tofu")

    run.add("container with an object", {"colour": "blue", "etag": etag}, read, destroy)


STEPS = (look_ups, keypair, networks, floating, volume, image, instance, attachment, objects)


def apply(cloud: Gopher) -> None:
    """The whole run."""
    run = Run(cloud)
    try:
        for step in STEPS:
            step(run)
        plan = {thing.name: found for thing in run.things if (found := thing.plan())}
        assert not plan, f"the second plan is not empty: {plan}"
        print("  the second plan is empty", flush=True)
        changes(run)
    finally:
        while run.things:
            thing = run.things.pop()
            thing.destroy()
            print(f"  destroyed {thing.name}", flush=True)


def discovery(cloud: Gopher) -> None:
    """Every service of the catalog is found as the library finds it."""
    for service in ("compute", "network", "image", "block-storage", "key-manager", "load-balancer", "placement"):
        if cloud.offered(service):
            print(f"  {service} at {cloud.url(service)}", flush=True)


PARTS: Mapping[str, Callable[[Gopher], None]] = {
    "discovery": discovery,
    "apply, plan, destroy": apply,
    "cluster-api": cluster_api,
}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data directory of a running installation to test (default: a fresh one)")
    parser.add_argument("part", nargs="*", default=list(PARTS), help=f"of: {'; '.join(PARTS)}")
    choice = parser.parse_args(words)
    if why := hosted.why_not():
        print(f"calls of Terraform and cluster-api: NOT RUN, {why}")
        return 0
    scratch = Path(tempfile.mkdtemp(prefix="tofu-"))

    def every(installation: Installation) -> int:
        hosted.prepare(installation, scratch)
        return max(judged(name, Gopher.log_in(installation)) for name in choice.part)

    if choice.data:
        return every(Installation(Path(choice.data), "-", "-"))
    with Installation(scratch / "cloud", settings=hosted.settings()) as installation:
        return every(installation)


def judged(name: str, cloud: Gopher) -> int:
    print(f"{name}:", flush=True)
    try:
        PARTS[name](cloud)
    except Exception:
        traceback.print_exc()
        print(f"{name}: BROKEN after {'; '.join(cloud.calls[-4:])}")
        return 1
    print(f"{name}: passed, {len(cloud.calls)} calls", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
