"""What a new installation has: the way outside, and the network `public` from which floating IPs come."""

from __future__ import annotations

import ipaddress

from andromede.network import addressing, networks, subnets, work_store
from andromede.network.core import Core
from andromede.network.engine import OUTSIDE as PART
from andromede.network.networks import OUTSIDE
from andromede.network.shape import Who, created
from andromede.network.shapes import NETWORK, SUBNET

ONCE = "network/first"


def begin(core: Core, owner: str, request_id: str) -> bool:
    """Make them, once in the life of an installation; whether it was now. What an administrator then removes stays
    removed."""
    if work_store.loaded(core.desk.db, PART) >= 0:
        return False
    with core.errand("begin", f"network/{OUTSIDE}", owner, request_id) as job:
        if job.tx.take(ONCE) != 1:
            return False
        work_store.add(job.tx, PART, owner, "outside", job.now_us)
        job.touch(PART)
        who = Who(owner, True)
        wish = {
            "name": OUTSIDE, "description": "The way outside; floating IPs come from here", "router:external": True,
            "is_default": True, "provider:network_type": "flat", "provider:physical_network": OUTSIDE,
        }  # fmt: skip
        network = networks.create(job, created(NETWORK, wish, who))
        net = ipaddress.ip_network(core.settings.external_cidr, strict=False)
        gateway = core.settings.external_gateway or addressing.first_gateway(net)
        body = {"network_id": network.id, "name": OUTSIDE, "cidr": str(net), "ip_version": net.version,
                "gateway_ip": gateway, "enable_dhcp": False}  # fmt: skip
        subnets.create(job, created(SUBNET, body, who))
    return True
