"""Walks of networks, routers and the way outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.audit.changes import Desk
from andromede.config import Hosting
from andromede.engines.memory_network import MemoryFabric
from andromede.network import networks, ports, routers, subnets, work_store
from andromede.network.core import Core, Job
from andromede.network.lifecycle import Wiring
from andromede.network.parts import Place, render
from andromede.network.shape import Who, created
from andromede.network.shapes import NETWORK, PORT, SUBNET
from andromede.network.shapes_more import ROUTER
from andromede.network.tables import NETWORKS, PARTS, PORTS, ROUTERS
from andromede.work.lifecycle import signal
from tests.support.lifecycles import Scene, Stage, Walk

OWNER, HOST = "0wner", "here"
SETTINGS = Hosting(external_cidr="203.0.113.0/24")
Made = Callable[[Job], str]


def core_of(scene: Scene) -> Core:
    desk = Desk(scene.db, scene.clock, scene.ids, scene.recorder)
    return Core(desk, SETTINGS, lambda project: True, HOST)


def _network(job: Job) -> str:
    who = Who(OWNER, True)
    network = networks.create(job, created(NETWORK, {"name": "net"}, who))
    subnets.create(job, created(SUBNET, {"network_id": network.id, "cidr": "10.0.0.0/24"}, who))
    body = {"network_id": network.id, "device_owner": "compute:nova", "binding:host_id": HOST}
    ports.create(job, created(PORT, body, who))
    return network.id


def _router(job: Job) -> str:
    row = routers.create(job, created(ROUTER, {"name": "r"}, Who(OWNER, True)))
    return row.id


def _joined(job: Job) -> str:
    """A router with a leg; its network is carried already."""
    row = routers.create(job, created(ROUTER, {"name": "r"}, Who(OWNER, True)))
    network = _network(job)
    subnet = job.tx.one("SELECT id FROM network_subnet WHERE network_id = ?", (network,))
    assert subnet is not None
    routers.add_interface(job, row, {"subnet_id": str(subnet[0])})
    return row.id


def _outside(job: Job) -> str:
    work_store.add(job.tx, "outside", OWNER, "outside", job.now_us)
    job.touch("outside")
    return "outside"


def _deleted(job: Job, part_id: str) -> None:
    tx = job.tx
    network = NETWORKS.find(tx, id=part_id)
    if network is not None:
        for port in PORTS.select(tx, {"network_id": part_id}):
            ports.erase(job, port)
        networks.delete(job, network)
        return
    router = ROUTERS.find(tx, id=part_id)
    assert router is not None
    for port in PORTS.select(tx, {"device_id": part_id}):
        ports.erase(job, port)
    routers.delete(job, router)


def _more(job: Job, part_id: str) -> None:
    """A port comes, and the one that was there gets another address."""
    (there,) = PORTS.select(job.tx, {"network_id": part_id, "device_owner": "compute:nova"})
    body = {"network_id": part_id, "device_owner": "compute:nova", "binding:host_id": HOST}
    ports.create(job, created(PORT, body, Who(OWNER, True)))
    ports.update(job, there, {"fixed_ips": [{"ip_address": "10.0.0.77"}]})


def _lost(job: Job, part_id: str) -> None:
    """Somebody found that it is not as it was loaded."""
    signal(job.tx, PARTS.name, part_id, work_store.MEND, job.now_us)


def _stage(
    made: Made, carried: bool = False, then: Callable[[Job, str], None] | None = None
) -> Callable[[Scene], Stage]:
    """`then`: what is wished of a part that is in force, if it is `carried`."""

    def stage(scene: Scene) -> Stage:
        core = core_of(scene)
        fabric = MemoryFabric()
        place = Place(HOST, SETTINGS)
        with core.errand("test", "test", OWNER, "req-1") as job:
            part_id = made(job)
        for row in sorted(PARTS.select(scene.db), key=lambda row: row.kind):
            mine = row.id == part_id
            with scene.db.read() as tx:
                wished = render(tx, row, place)
            if wished is not None and (not mine or carried):
                fabric.ensure(wished)
            if not mine or carried:
                with scene.db.write() as tx:
                    PARTS.update(tx, {"id": row.id}, loaded=row.wished, signals="", due_us=None)
                    if mine:
                        work_store.in_force(tx, row.id, row.kind, row.wished)
        if then is not None:
            with core.errand("test", "test", OWNER, "req-2") as job:
                then(job, part_id)
        wiring = Wiring(scene.db, scene.wrap(fabric), place, scene.clock)

        def looks() -> Any:
            if PARTS.find(scene.db, id=part_id) is None:  # its neighbours may be at work yet
                return fabric.parts.get(part_id)
            rows = [tuple(row) for row in scene.db.all("SELECT status FROM network_port ORDER BY id")]
            return fabric.parts.get(part_id), rows, scene.db.all("SELECT status FROM network_router ORDER BY id")

        def leaks() -> Any:
            return [name for name in fabric.listing() if name == part_id]

        return Stage(wiring.lifecycle(), part_id, looks, leaks)

    return stage


WALKS = [
    Walk("network_part", "a network with a guest's port is made", "loaded", _stage(_network)),
    Walk("network_part", "a router is made", "loaded", _stage(_router)),
    Walk("network_part", "a router joins a network", "loaded", _stage(_joined)),
    Walk("network_part", "the way outside is made", "loaded", _stage(_outside)),
    Walk("network_part", "a network goes", "", _stage(_network, True, _deleted)),
    Walk("network_part", "a network gets another port", "loaded", _stage(_network, True, _more)),
    Walk("network_part", "a network is mended", "loaded", _stage(_network, True, _lost)),
    Walk("network_part", "a router goes", "", _stage(_joined, True, _deleted)),
]
