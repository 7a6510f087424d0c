"""Stand-ins for the neighbours of load balancers: ports and certificates of memory, which police their callers."""

from __future__ import annotations

from andromede.balancer.engine import Vip, VipWish
from andromede.db import Tx
from andromede.errors import Conflict, NotFound

SUBNET = "11111111-0000-4000-8000-000000000001"
NETWORK = "22222222-0000-4000-8000-000000000001"
PORT = "33333333-0000-4000-8000-000000000001"
CERTIFICATE = "http://cloud.test/key-manager/v1/containers/44444444-0000-4000-8000-000000000001"


class MemoryVips:
    """Addresses of one subnet. A port is wired at the second look."""

    def __init__(self) -> None:
        self.ports: dict[str, str] = {}
        self.bound: dict[str, tuple[str, str]] = {}
        self.looks = 0

    def take(self, wish: VipWish, request_id: str, tx: Tx) -> Vip:
        if wish.subnet_id not in ("", SUBNET) or wish.network_id not in ("", NETWORK):
            raise NotFound("Subnet not found.", "subnet")
        if wish.port_id and wish.port_id in self.ports:
            raise Conflict(f"The VIP port {wish.port_id} is already in use", "port")
        number = len(self.ports) + 10
        port_id = wish.port_id or f"33333333-0000-4000-8000-0000000000{number}"
        tx.after(lambda: self.ports.update({port_id: wish.balancer_id}))
        return Vip(port_id, NETWORK, SUBNET, wish.address or f"10.0.0.{number}", not wish.port_id)

    def settle(self, port_id: str, balancer_id: str, host: str, request_id: str) -> bool:
        if self.ports.get(port_id) is None:
            raise NotFound(f"there is no port {port_id}")
        taken = self.bound.setdefault(port_id, (balancer_id, host))
        if taken != (balancer_id, host):
            raise Conflict(f"port {port_id} is bound to {taken}")
        self.looks += 1
        return self.looks > 1

    def give_back(self, port_id: str, own: bool, request_id: str) -> None:
        self.bound.pop(port_id, None)
        self.ports.pop(port_id, None)


class MemoryCertificates:
    """One certificate, of everybody."""

    def pem(self, ref: str, project_id: str, reader: str, request_id: str) -> bytes:
        if ref != CERTIFICATE:
            raise NotFound(f"there is no container {ref}")
        return b"PEM"

    def plain(self, ref: str, project_id: str, reader: str, request_id: str) -> bytes:
        return self.pem(ref, project_id, reader, request_id)
