"""Walks of load balancers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.balancer import parts, store
from andromede.balancer.bodies import Listener, Member, Pool, spec_of
from andromede.balancer.engine import VipWish
from andromede.balancer.lifecycle import KIND, lifecycle
from andromede.balancer.model import LISTENER, MEMBER, POOL, Balancer, Part
from andromede.engines.memory_balancer import MemoryCarrier
from tests.support.balancers import NETWORK, SUBNET, MemoryCertificates, MemoryVips
from tests.support.lifecycles import Scene, Stage, Walk

ID, PROJECT = "ba", "p"


def _row(scene: Scene, state: str, port_id: str) -> Balancer:
    now = scene.clock.now_us()
    return Balancer(
        state=state, since_us=now, due_us=now, request_id="req-1", id=ID, project_id=PROJECT, name="lb",
        description="", admin_up=True, address="10.0.0.10", port_id=port_id, subnet_id=SUBNET, network_id=NETWORK,
        own_port=True, provider="octavia", flavor_id="", zone="", tags=[], host="h", created_us=now, updated_us=now,
    )  # fmt: skip


def _parts(scene: Scene, provisioning: str) -> list[Part]:
    now = scene.clock.now_us()

    def part(part_id: str, kind: str, parent: str, body: Any) -> Part:
        return Part(part_id, kind, ID, parent, PROJECT, "", provisioning, "", 0, spec_of(body), now, now)

    return [
        part("p1", POOL, ID, Pool(protocol="HTTP", lb_algorithm="ROUND_ROBIN")),
        part("m1", MEMBER, "p1", Member(address="10.0.0.20", protocol_port=80)),
        part("l1", LISTENER, ID, Listener(protocol="HTTP", protocol_port=80, default_pool_id="p1")),
    ]


def _stage(state: str, provisioning: str) -> Callable[[Scene], Stage]:
    def stage(scene: Scene) -> Stage:
        carrier, vips = MemoryCarrier(), MemoryVips()
        with scene.db.write() as tx:
            vip = vips.take(VipWish(ID, PROJECT, subnet_id=SUBNET), "req-1", tx)
        row = _row(scene, state, vip.port_id)
        with scene.db.write() as tx:
            store.BALANCERS.insert(tx, row)
            for part in _parts(scene, provisioning):
                store.PARTS.insert(tx, part)
        wish = parts.wish(scene.db, MemoryCertificates())
        if state != "plugging":
            vips.settle(vip.port_id, ID, "h", "req-1")
            carrier.ensure(wish(row))

        def looks() -> Any:
            rows = [(each.id, each.provisioning) for each in store.parts(scene.db, ID)]
            return carrier.parts, vips.ports, vips.bound, rows

        def leaks() -> Any:
            return carrier.listing(), vips.ports, store.parts(scene.db, ID)

        def clean() -> Any:
            found = leaks()
            return found if any(found) else None

        made = lifecycle(wish, scene.wrap(carrier, "carrier."), scene.wrap(vips, "vip."))
        return Stage(made, ID, looks, clean)

    return stage


WALKS = [
    Walk(KIND, "create", "active", _stage("plugging", "PENDING_CREATE")),
    Walk(KIND, "update", "active", _stage("updating", "PENDING_UPDATE")),
    Walk(KIND, "part removed", "active", _stage("updating", "PENDING_DELETE")),
    Walk(KIND, "failover", "active", _stage("moving", "ACTIVE")),
    Walk(KIND, "delete", "", _stage("deleting", "ACTIVE")),
]
