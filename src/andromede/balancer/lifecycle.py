"""How a load balancer comes, changes and goes. Its row works; its parts are what the row makes true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.balancer import store
from andromede.balancer.engine import BalancerPart, Carrier, Vips
from andromede.balancer.model import ACTIVE, ERROR, Balancer
from andromede.db import Tx
from andromede.work.lifecycle import Deadline, Lifecycle, Next

KIND = "balancer"
PLUG_WAIT = 0.3
"""Seconds between looks at a port that is not wired yet."""
_BUSY = ("plugging", "creating", "updating", "moving")
MOVES = {
    "plugging": frozenset({"plugging", "creating", "deleting", "error"}),
    "creating": frozenset({"active", "deleting", "error"}),
    "updating": frozenset({"active", "deleting", "error"}),
    "moving": frozenset({"updating", "deleting", "error"}),
    "active": frozenset({"updating", "moving", "deleting"}),
    "error": frozenset({"updating", "moving", "deleting"}),
    "deleting": frozenset({"releasing", "error"}),
    "releasing": frozenset({"deleted", "error"}),
}
DEADLINES = {
    **{state: Deadline(300.0) for state in _BUSY},
    "deleting": Deadline(600.0),
    "releasing": Deadline(600.0),
}


def lifecycle(wish: Callable[[Balancer], BalancerPart], carrier: Carrier, vips: Vips) -> Lifecycle[Balancer]:
    """The lifecycle over engines. `wish`: a load balancer as its rows want it."""

    def plugging(row: Balancer) -> Next:
        if not vips.settle(row.port_id, row.id, row.host, row.request_id):
            return Next("plugging", PLUG_WAIT)
        return Next("creating")

    def making(row: Balancer) -> Next:
        carrier.ensure(wish(row))
        return Next("active", then=lambda tx: store.settle(tx, row.id, ACTIVE))

    def moving(row: Balancer) -> Next:
        carrier.remove(row.id)
        return Next("updating")

    def deleting(row: Balancer) -> Next:
        carrier.remove(row.id)
        return Next("releasing")

    def releasing(row: Balancer) -> Next:
        vips.give_back(row.port_id, row.own_port, row.request_id)
        return Next("deleted", then=lambda tx: store.forget(tx, row.id))

    def undo(tx: Tx, row: Any, why: str) -> None:
        store.settle(tx, row.id, ERROR)

    steps = {"plugging": plugging, "creating": making, "updating": making, "moving": moving,
             "deleting": deleting, "releasing": releasing}  # fmt: skip
    return Lifecycle(KIND, store.BALANCERS, steps, MOVES, DEADLINES, {"delete": "deleting"}, undo=undo)
