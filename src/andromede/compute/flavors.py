"""Sizes of servers: public ones, and those that only some projects may use."""

from __future__ import annotations

from typing import Any

from andromede.audit.changes import Desk
from andromede.clock import Clock
from andromede.compute import flavor_store
from andromede.compute.core import Core
from andromede.compute.model import Flavor, FlavorAccess
from andromede.compute.tables import ACCESS, FLAVORS
from andromede.db import Reach, Tx
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call

MOST_SPECS = 128


class Flavors:
    """Reads and changes; every change is one transaction with its event."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def find(self, flavor_id: str, project_id: str | None, everything: bool = False) -> Flavor:
        """A flavor that the project may see. Raises `NotFound`."""
        found = FLAVORS.find(self._core.desk.db, id=flavor_id)
        if found is None or not (everything or found.public or self._allowed(flavor_id, project_id)):
            raise NotFound(f"Flavor {flavor_id} could not be found.", "flavor")
        return found

    def _allowed(self, flavor_id: str, project_id: str | None) -> bool:
        return ACCESS.find(self._core.desk.db, flavor_id=flavor_id, project_id=project_id or "") is not None

    def listed(self, public: bool | None, project_id: str | None) -> list[Flavor]:
        """Flavors by `public`; public ones come with those that the project may use, None is all."""
        return flavor_store.listing(self._core.desk.db, public, project_id or "")

    def create(self, call: Call[Any], flavor: Flavor) -> Flavor:
        """Add a flavor. Raises `Conflict` for an id or a name that is taken."""
        with self._core.desk.change(call, f"flavor/{flavor.id}") as change:
            for word, value in (("id", flavor.id), ("name", flavor.name)):
                if FLAVORS.find(change.tx, **{word: value}) is not None:
                    label = {"id": "ID", "name": "name"}[word]
                    raise Conflict(f"Flavor with {label} {value} already exists.", "flavor")
            FLAVORS.insert(change.tx, flavor)
        return flavor

    def describe(self, call: Call[Any], flavor_id: str, description: str | None) -> Flavor:
        """Change the description, the one thing of a flavor that may change."""
        self.find(flavor_id, None, True)
        with self._core.desk.change(call, f"flavor/{flavor_id}") as change:
            FLAVORS.update(change.tx, {"id": flavor_id}, description=description)
        return self.find(flavor_id, None, True)

    def remove(self, call: Call[Any], flavor_id: str) -> None:
        """Delete a flavor; servers keep their copy of it."""
        self.find(flavor_id, None, True)
        with self._core.desk.change(call, f"flavor/{flavor_id}") as change:
            FLAVORS.remove(change.tx, id=flavor_id)
            ACCESS.remove(change.tx, flavor_id=flavor_id)

    def specs(self, call: Call[Any], flavor_id: str, specs: dict[str, str], drop: str | None = None) -> dict[str, str]:
        """Merge extra specs, or drop one; what there is then."""
        self.find(flavor_id, None, True)
        with self._core.desk.change(call, f"flavor/{flavor_id}") as change:
            merged = {**flavor_store.specs(change.tx, flavor_id), **specs}
            if drop is not None and merged.pop(drop, None) is None:
                raise NotFound(f"Flavor {flavor_id} has no extra specs with key {drop}.", "extra_spec")
            if len(merged) > MOST_SPECS:
                raise Invalid(f"flavor {flavor_id} may have at most {MOST_SPECS} extra specs", "schema")
            FLAVORS.update(change.tx, {"id": flavor_id}, extra_specs=merged)
        return merged

    def access(self, flavor_id: str) -> list[FlavorAccess]:
        """Who may use a flavor. Raises `NotFound` for a public one."""
        if self.find(flavor_id, None, True).public:
            raise NotFound("Access list not available for public flavors.", "flavor")
        return ACCESS.select(self._core.desk.db, {"flavor_id": flavor_id})

    def allow(self, call: Call[Any], flavor_id: str, project_id: str, allowed: bool) -> list[FlavorAccess]:
        """Give a project access to a flavor that is not public, or take it. Raises `Conflict`, `NotFound`."""
        flavor = self.find(flavor_id, None, True)
        if flavor.public and allowed and (call.microversion or (2, 1)) >= (2, 7):
            raise Conflict("Can not add access to a public flavor.", "flavor")
        with self._core.desk.change(call, f"flavor/{flavor_id}") as change:
            there = ACCESS.find(change.tx, flavor_id=flavor_id, project_id=project_id)
            if allowed and there is not None:
                raise Conflict(
                    f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.",
                    "flavor",
                )
            if not allowed and there is None:
                raise NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.", "flavor")
            if allowed:
                ACCESS.insert(change.tx, FlavorAccess(flavor_id, project_id))
            else:
                ACCESS.remove(change.tx, flavor_id=flavor_id, project_id=project_id)
        return ACCESS.select(self._core.desk.db, {"flavor_id": flavor_id})


MANDATORY = (
    ("SCS-1L-1", 1, 1, 0),
    ("SCS-1V-2", 1, 2, 0),
    ("SCS-1V-4", 1, 4, 0),
    ("SCS-1V-8", 1, 8, 0),
    ("SCS-2V-4", 2, 4, 0),
    ("SCS-2V-8", 2, 8, 0),
    ("SCS-2V-16", 2, 16, 0),
    ("SCS-4V-8", 4, 8, 0),
    ("SCS-4V-16", 4, 16, 0),
    ("SCS-4V-32", 4, 32, 0),
    ("SCS-8V-16", 8, 16, 0),
    ("SCS-8V-32", 8, 32, 0),
    ("SCS-16V-32", 16, 32, 0),
    ("SCS-2V-4-20s", 2, 4, 20),
    ("SCS-4V-16-100s", 4, 16, 100),
)
"""Name, CPUs, memory in GiB, disk in GiB (SCS-0103-v1)."""

RECOMMENDED = (
    ("SCS-8V-64", 8, 64, 0),
    ("SCS-16V-64", 16, 64, 0),
    ("SCS-16V-128", 16, 128, 0),
)
"""Those that it recommends, but for thirteen whose name promises a disk over a network: disks are of the host here."""


def _specs(name: str, disk: int) -> dict[str, str]:
    cpu, _, rest = name.removeprefix("SCS-").partition("-")
    specs = {
        "scs:name-v1": f"SCS-{cpu}:{rest.replace('-', ':')}",
        "scs:name-v2": name,
        "scs:cpu-type": "crowded-core" if cpu.endswith("L") else "shared-core",
        "hw_rng:allowed": "true",
    }
    return {**specs, "scs:disk0-type": "ssd"} if disk else specs


def provided(tx: Tx, clock: Clock) -> int:
    """Add the flavors of every installation that are not there: those of SCS and two small ones for tiny guests; how
    many were added."""
    now, added = clock.now_us(), 0
    wanted = [
        (name, name, vcpus, ram * 1024, disk, _specs(name, disk))
        for name, vcpus, ram, disk in (*MANDATORY, *RECOMMENDED)
    ]
    wanted += [("tiny", "tiny", 1, 192, 0, {}), ("tiny2", "tiny2", 1, 256, 1, {})]
    for flavor_id, name, vcpus, ram, disk, specs in wanted:
        if FLAVORS.find(tx, id=flavor_id) is None and FLAVORS.find(tx, name=name) is None:
            FLAVORS.insert(
                tx, Flavor(flavor_id, name, vcpus, ram, disk, 0, 0, "1.0", True, False, None, dict(specs), now)
            )
            added += 1
    return added


def provide(desk: Desk) -> int:
    """The same once in an installation's life, so that flavors which its admins delete stay away."""
    if flavor_store.any_provided(desk.db):
        return 0
    with desk.db.write(Reach.EVENTS) as tx:
        if flavor_store.any_provided(tx):
            return 0
        tx.take(flavor_store.PROVIDED)
        return provided(tx, desk.clock)
