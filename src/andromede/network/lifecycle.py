"""How the parts of networks and routers come to be what their rows wish, and what keeps them so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from andromede.clock import US, Clock
from andromede.db import Database, Reach, Tx
from andromede.log import Log
from andromede.network import changes, parts, work_store
from andromede.network.engine import Fabric, Part
from andromede.network.model import PartRow
from andromede.network.parts import Place
from andromede.network.tables import PARTS
from andromede.work.lifecycle import Deadline, Lifecycle, Next, signal

AGAIN_SECONDS = 0.2
PULSE_SECONDS = 10.0
MOST_OBSERVED, MOST_ROWS = 40, 1000
"""Parts that one turn looks at in the kernel, and rows that it goes through."""


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
            steps={"loading": self.loading, "mending": self.mending, "deleting": self.deleting},
            moves={
                "loaded": frozenset({"loading", "mending", "deleting"}),
                "loading": frozenset({"loading", "mending", "loaded", "error", "deleting"}),
                "mending": frozenset({"mending", "loaded", "error", "deleting"}),
                "error": frozenset({"loading", "mending", "deleting"}),
                "deleting": frozenset({"deleting", "deleted", "error"}),
            },
            deadlines={"loading": Deadline(120.0), "mending": Deadline(120.0), "deleting": Deadline(600.0)},
            interrupts={
                work_store.DELETE: "deleting", work_store.MEND: "mending", work_store.LOAD: "loading",
            },
            undo=_refused,
        )  # fmt: skip

    def loading(self, row: PartRow) -> Next:
        """Have the newest wishes carried: by their difference from those in force, where ports alone differ and the
        fabric knows what it carries; else whole. Who is ended between the two begins anew from the same rows."""
        with self.db.read() as tx:
            now = PARTS.find(tx, id=row.id)
            change = changes.difference(tx, now, self.place) if now is not None else None
        if now is None or change is None or not self.fabric.change(change):
            return self.mending(row)
        ports = [port.id for port in change.ports]
        return self._loaded(row, now, lambda tx: work_store.ports_in_force(tx, ports, now.wished))

    def mending(self, row: PartRow) -> Next:
        """Render the newest wishes whole and have them carried, whatever there is."""
        with self.db.read() as tx:
            now = PARTS.find(tx, id=row.id)
            wished = parts.render(tx, now, self.place) if now is not None else None
        if now is None:
            return Next(row.state, AGAIN_SECONDS)
        if wished is not None:
            self.fabric.ensure(wished)
        elif not self._cleared(now):
            return Next(row.state, AGAIN_SECONDS)
        if now.kind == "network":
            self.neighbours(row.id, wished is not None)
        return self._loaded(row, now, lambda tx: _in_force(tx, now, wished))

    def _loaded(self, row: PartRow, now: PartRow, tell: Callable[[Tx], None]) -> Next:
        """The wishes that `now` had are in force; `tell` shows it."""
        met = (work_store.LOAD, work_store.MEND) if row.state == "mending" else (work_store.LOAD,)
        words = " ".join(word for word in row.signals.split() if word not in met)

        def then(tx: Tx) -> None:
            if work_store.wished(tx, row.id) > now.wished:  # wishes that came in meanwhile: one word stands for all
                signal(tx, PARTS.name, row.id, work_store.LOAD, self.clock.now_us())
            work_store.settled(tx, row.id, now.wished)
            tell(tx)

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
        there = set(wiring.fabric.listing())
        self._strangers(there)
        lost = self._lost(there)
        if lost:
            with wiring.db.write(Reach.EVENTS) as tx:
                for row in lost:
                    signal(tx, PARTS.name, row.id, work_store.MEND, self._clock.now_us())
        return False

    def _strangers(self, there: set[str]) -> None:
        """What no row wishes goes."""
        for part_id in sorted(there - work_store.known(self._wiring.db, sorted(there))):
            self._log.event("network.stranger", "warning", part=part_id)
            self._wiring.fabric.remove(part_id)

    def _lost(self, there: set[str]) -> list[PartRow]:
        """Parts that are not as they were loaded. Each turn goes on where the last one ended."""
        rows = work_store.resting(self._wiring.db, self._at, MOST_ROWS)
        lost, looked = [], 0
        for row in rows:
            if row.state == "error":
                wrong = self._clock.now_us() - row.since_us > PULSE_SECONDS * US
            elif row.id in there:
                wrong, looked = self._differs(row), looked + 1
            else:
                with self._wiring.db.read() as tx:
                    wrong = parts.render(tx, row, self._wiring.place) is not None
            if wrong:
                lost.append(row)
            self._at = row.id
            if looked == MOST_OBSERVED:
                return lost
        self._at = self._at if len(rows) == MOST_ROWS else ""
        return lost

    def _differs(self, row: PartRow) -> bool:
        wiring = self._wiring
        found = wiring.fabric.observe(row.id)
        if found is None:
            return True
        if row.kind == "network":
            work = work_store.changed_holders(wiring.db, row.id, found.ports)
            if work:
                with wiring.db.write(Reach.EVENTS) as tx:
                    work_store.held(tx, work)
        if found.generation == row.loaded and not found.faults:
            return False
        self._log.event("network.part", "warning", part=row.id, kind=row.kind, faults="; ".join(found.faults))
        return True
