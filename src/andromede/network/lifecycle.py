"""How the parts of networks and routers come to be what their rows wish, and what keeps them so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from andromede.clock import US, Clock
from andromede.db import Database, Reach, Tx
from andromede.log import Log
from andromede.network import parts, work_store
from andromede.network.engine import Fabric, NetworkPart, Part
from andromede.network.model import PartRow
from andromede.network.parts import Place
from andromede.network.tables import PARTS
from andromede.work.lifecycle import Deadline, Lifecycle, Next, signal

AGAIN_SECONDS = 0.2
PULSE_SECONDS = 10.0
MOST_OBSERVED = 500
"""Parts that one turn looks at."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The steps of parts on one host. `neighbours` hears of every network that is in force: its id and whether it is
    there, for who serves metadata in it."""

    db: Database
    fabric: Fabric
    place: Place
    clock: Clock
    neighbours: Callable[[str, bool], None] = lambda network_id, there: None

    def lifecycle(self) -> Lifecycle[PartRow]:
        return Lifecycle(
            kind="network_part",
            table=PARTS,
            steps={"loading": self.loading, "deleting": self.deleting},
            moves={
                "loaded": frozenset({"loading", "deleting"}),
                "loading": frozenset({"loading", "loaded", "error", "deleting"}),
                "error": frozenset({"loading", "deleting"}),
                "deleting": frozenset({"deleting", "deleted", "error"}),
            },
            deadlines={"loading": Deadline(120.0), "deleting": Deadline(600.0)},
            interrupts={work_store.DELETE: "deleting", work_store.LOAD: "loading"},
            undo=_refused,
        )

    def loading(self, row: PartRow) -> Next:
        """Render the newest wishes and have them carried."""
        with self.db.read() as tx:
            now = PARTS.find(tx, id=row.id)
            wished = parts.render(tx, now, self.place) if now is not None else None
        if now is None:
            return Next("loading", AGAIN_SECONDS)
        if wished is not None:
            self.fabric.ensure(wished)
        elif not self._cleared(now):
            return Next("loading", AGAIN_SECONDS)
        if now.kind == "network":
            self.neighbours(row.id, wished is not None)
        words = " ".join(word for word in row.signals.split() if word != work_store.LOAD)

        def then(tx: Tx) -> None:
            if work_store.wished(tx, row.id) > now.wished:  # wishes that came in meanwhile: one word stands for all
                signal(tx, PARTS.name, row.id, work_store.LOAD, self.clock.now_us())
            _in_force(tx, now, wished)

        return Next("loaded", changes={"loaded": now.wished, "signals": words}, then=then)

    def deleting(self, row: PartRow) -> Next:
        """Take it away once no router reaches into it."""
        if row.kind == "network":
            self.neighbours(row.id, False)
        if not self._cleared(row):
            return Next("deleting", AGAIN_SECONDS)
        return Next("deleted")

    def _cleared(self, row: PartRow) -> bool:
        """Whether a part is away; a network waits until the last leg of a router is out of it."""
        if row.kind == "network":
            there = self.fabric.observe(row.id)
            if there is not None and there.ports:
                self.fabric.ensure(parts.empty(row))
                there = self.fabric.observe(row.id)
                if there is not None and there.ports:
                    return False
        self.fabric.remove(row.id)
        return True


def _in_force(tx: Tx, row: PartRow, wished: Part | None) -> None:
    if wished is None:
        work_store.asleep(tx, row.id)
    else:
        work_store.in_force(tx, row.id, row.kind, row.wished)


def _refused(tx: Tx, row: PartRow, why: str) -> None:
    work_store.refused(tx, row.id, row.kind, why)


class Watch:
    """Compares what is there with what was loaded, and asks for what is missing to be made again."""

    def __init__(self, wiring: Wiring, clock: Clock, log: Log) -> None:
        self._wiring, self._clock, self._log = wiring, clock, log
        self._started = clock.now_us()
        self._at = ""

    def turn(self) -> bool:
        """A bounded number of parts; whether more wait."""
        wiring = self._wiring
        with wiring.db.write(Reach.EVENTS) as tx:
            work_store.pulse(tx, wiring.place.host, self._started, self._clock.now_us())
        self._strangers()
        rows = work_store.resting(wiring.db, self._at, MOST_OBSERVED)
        self._at = rows[-1].id if len(rows) == MOST_OBSERVED else ""
        lost = [row for row in rows if self._lost(row)]
        if lost:
            with wiring.db.write(Reach.EVENTS) as tx:
                for row in lost:
                    signal(tx, PARTS.name, row.id, work_store.LOAD, self._clock.now_us())
        return False

    def _strangers(self) -> None:
        """What no row wishes goes."""
        there = self._wiring.fabric.listing()
        known = work_store.known(self._wiring.db, there)
        for part_id in there:
            if part_id not in known:
                self._log.event("network.stranger", "warning", part=part_id)
                self._wiring.fabric.remove(part_id)

    def _lost(self, row: PartRow) -> bool:
        wiring = self._wiring
        if row.state == "error":
            return self._clock.now_us() - row.since_us > PULSE_SECONDS * US
        found = wiring.fabric.observe(row.id)
        if found is not None and row.kind == "network":
            with wiring.db.write(Reach.EVENTS) as tx:
                work_store.held(tx, row.id, found.ports)
        if found is not None:
            wrong = found.generation != row.loaded or bool(found.faults)
            if wrong:
                self._log.event("network.part", "warning", part=row.id, kind=row.kind, faults="; ".join(found.faults))
            return wrong
        with wiring.db.read() as tx:
            return parts.render(tx, row, wiring.place) is not None


__all__ = ["NetworkPart", "Watch", "Wiring"]
