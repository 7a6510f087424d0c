"""The calls of cluster-api-provider-openstack and of the Cinder CSI driver, over a client like gophercloud."""

from __future__ import annotations

from typing import Any

from tests.support.gopher import Gopher

MINIMUM = (2, 53)
"""cluster-api refuses compute below 2.38 and tags servers with 2.53."""


def cluster_api(cloud: Gopher) -> None:
    """What it asks before and while it makes machines."""
    version = _versions(cloud)
    assert version >= MINIMUM, f"compute tells {version}"
    extensions = {entry["alias"] for entry in cloud.call("GET", "network", "extensions")["extensions"]}
    assert "standard-attr-tag" in extensions
    cloud.microversions |= {"compute": "2.60", "block-storage": "3.42"}
    zones = cloud.call("GET", "compute", "os-availability-zone")["availabilityZoneInfo"]
    assert zones and zones[0]["zoneState"]["available"]
    assert cloud.call("GET", "compute", "flavors/detail")["flavors"]
    assert cloud.call("GET", "compute", "servers/detail?name=none-such")["servers"] == []
    _group(cloud)
    _network(cloud, "trunk" in extensions)
    _volume(cloud)
    if cloud.offered("load-balancer"):
        _balancer(cloud)


def _versions(cloud: Gopher) -> tuple[int, ...]:
    """The range that the version document below the endpoint tells."""
    found = cloud.call("GET", "compute", "")["version"]
    assert found["min_version"] and found["status"] == "CURRENT"
    return tuple(int(part) for part in found["version"].split("."))


def _group(cloud: Gopher) -> None:
    body = {"name": "nodes", "policies": ["soft-anti-affinity"]}
    cloud.microversions["compute"] = "2.15"
    made = cloud.call("POST", "compute", "os-server-groups", {"server_group": body}, ok=(200,))["server_group"]
    assert made["policies"] == ["soft-anti-affinity"]
    assert any(group["id"] == made["id"] for group in cloud.call("GET", "compute", "os-server-groups")["server_groups"])
    cloud.call("DELETE", "compute", f"os-server-groups/{made['id']}")
    assert cloud.gone("compute", f"os-server-groups/{made['id']}")
    cloud.microversions["compute"] = "2.60"


def _network(cloud: Gopher, trunks: bool) -> None:
    network = cloud.call("POST", "network", "networks", {"network": {"name": "capo"}})["network"]["id"]
    tags = {"tags": ["capo"]}
    assert cloud.call("PUT", "network", f"networks/{network}/tags", tags, ok=(200,))["tags"] == ["capo"]
    named = cloud.call("GET", "network", "networks?name=capo&tags=capo")["networks"]
    assert [found["id"] for found in named] == [network]
    body = {"network_id": network, "cidr": "10.6.0.0/24", "ip_version": 4, "name": "capo"}
    subnet = cloud.call("POST", "network", "subnets", {"subnet": body})["subnet"]["id"]
    assert cloud.call("GET", "network", f"subnets?network_id={network}")["subnets"][0]["id"] == subnet
    port = {"network_id": network, "name": "capo-0", "fixed_ips": [{"subnet_id": subnet}], "description": "node"}
    made = cloud.call("POST", "network", "ports", {"port": port})["port"]["id"]
    assert cloud.call("GET", "network", f"ports?name=capo-0&network_id={network}")["ports"][0]["id"] == made
    if trunks:
        trunk = cloud.call("POST", "network", "trunks", {"trunk": {"port_id": made, "name": "capo-0"}})["trunk"]["id"]
        cloud.call("DELETE", "network", f"trunks/{trunk}")
    cloud.call("DELETE", "network", f"ports/{made}")
    cloud.call("DELETE", "network", f"subnets/{subnet}")
    cloud.retried("DELETE", "network", f"networks/{network}")


def _volume(cloud: Gopher) -> None:
    """As the Cinder CSI driver: create, find by name, snapshot, delete."""

    def status(path: str, kind: str) -> Any:
        return lambda: str(cloud.call("GET", "block-storage", path)[kind]["status"])

    body = {"name": "pvc-1", "size": 1, "metadata": {"cinder.csi.openstack.org/cluster": "kubernetes"}}
    made = cloud.call("POST", "block-storage", "volumes", {"volume": body}, ok=(202,))["volume"]["id"]
    cloud.until("volume", status(f"volumes/{made}", "volume"), ("available",), ("creating",))
    found = cloud.call("GET", "block-storage", "volumes/detail?name=pvc-1")["volumes"]
    assert [volume["id"] for volume in found] == [made]
    cloud.call("POST", "block-storage", f"volumes/{made}/action", {"os-extend": {"new_size": 2}}, ok=(202,))
    cloud.until("volume", status(f"volumes/{made}", "volume"), ("available",), ("extending",))
    wish = {"snapshot": {"name": "snap-1", "volume_id": made, "force": True}}
    snapshot = cloud.call("POST", "block-storage", "snapshots", wish, ok=(202,))["snapshot"]["id"]
    cloud.until("snapshot", status(f"snapshots/{snapshot}", "snapshot"), ("available",), ("creating",))
    for kind, one in (("snapshots", snapshot), ("volumes", made)):
        path = f"{kind}/{one}"
        cloud.call("DELETE", "block-storage", path)
        cloud.until(kind, lambda: "gone" if cloud.gone("block-storage", path) else "there", ("gone",), ("there",))  # noqa: B023


def _balancer(cloud: Gopher) -> None:
    for path, key in (("providers", "providers"), ("flavors", "flavors"), ("loadbalancers", "loadbalancers")):
        assert key in cloud.call("GET", "load-balancer", path)
