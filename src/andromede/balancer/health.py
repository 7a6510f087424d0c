"""Looks at what runs: members' health and traffic into rows, what has died is made again, what nobody wants goes."""

from __future__ import annotations

from collections.abc import Mapping

from andromede.audit.changes import Desk
from andromede.balancer import store
from andromede.balancer.engine import COUNTERS, Carried, Carrier
from andromede.balancer.model import DOWN, LISTENER, MEMBER, MONITOR, POOL, UP, Balancer, Part, Traffic
from andromede.db import Reach
from andromede.errors import Error
from andromede.log import Log
from andromede.work.lifecycle import begin

RISING = ("bytes_in", "bytes_out", "total_connections", "request_errors")
EVERY = 2.0


class Health:
    """One host's look at its load balancers. `run` is a turn of a reconciler."""

    def __init__(self, desk: Desk, carrier: Carrier, host: str, log: Log) -> None:
        self._desk = desk
        self._carrier = carrier
        self._host = host
        self._log = log
        self._lives: dict[str, str] = {}

    def run(self) -> bool:
        there = self._carrier.listing()  # before the rows: what came between has its row by now
        rows = store.BALANCERS.select(self._desk.db)
        for row in rows:
            if row.host != self._host or row.state != "active":
                continue
            try:
                self._look(row, self._carrier.observe(row.id))
            except Error as error:
                self._log.event("balancer.look", "warning", id=row.id, text=error.public, cause=error.cause)
        known = {row.id for row in rows}
        for stray in set(there) - known:
            self._carrier.remove(stray)
        self._lives = {balancer_id: life for balancer_id, life in self._lives.items() if balancer_id in known}
        return False

    def _look(self, row: Balancer, found: Carried | None) -> None:
        if found is None:
            return self._again(row, "it did not run")
        parts = store.parts(self._desk.db, row.id)
        changed = self._changed(parts, found)
        traffic = self._traffic(row, parts, found)
        if not changed and not traffic:
            return None
        with self._desk.db.write(Reach.EVENTS) as tx:
            for part_id, health in changed.items():
                store.PARTS.update(tx, {"id": part_id}, health=health)
            for each in traffic:
                store.TRAFFIC.remove(tx, listener_id=each.listener_id)
                store.TRAFFIC.insert(tx, each)
        if _by_rules(parts, changed):
            return self._again(row, "members came or went")
        return None

    @staticmethod
    def _changed(parts: list[Part], found: Carried) -> dict[str, str]:
        changed = {}
        for part in parts:
            if part.kind == MEMBER:
                up = found.members.get(part.id)
                health = "" if up is None else UP if up else DOWN
                if health != part.health:
                    changed[part.id] = health
        return changed

    def _traffic(self, row: Balancer, parts: list[Part], found: Carried) -> list[Traffic]:
        """Counters of listeners that differ from what the rows say; those of a former life are kept in sum."""
        known = {each.listener_id: each for each in store.TRAFFIC.select(self._desk.db, {"balancer_id": row.id})}
        fresh = self._lives.get(row.id) not in (None, found.life)
        self._lives[row.id] = found.life
        changed = []
        for part in parts:
            if part.kind != LISTENER or part.id not in found.traffic:
                continue
            now = {name: int(found.traffic[part.id].get(name, 0)) for name in COUNTERS}
            old = known.get(part.id) or Traffic(part.id, row.id, {}, {})
            past = dict(old.past)
            if fresh or any(now[name] < old.present.get(name, 0) for name in RISING):
                past = {name: past.get(name, 0) + old.present.get(name, 0) for name in RISING}
            if now != old.present or past != old.past:
                changed.append(Traffic(part.id, row.id, past, now))
        return changed

    def _again(self, row: Balancer, why: str) -> None:
        with self._desk.system("balancer:mend", f"loadbalancer/{row.id}", row.project_id, row.request_id) as change:
            change.detail["why"] = why
            begin(change.tx, "balancer", row.id, ("active", "updating"), change.now_us)


def _by_rules(parts: list[Part], changed: Mapping[str, str]) -> bool:
    """Whether members changed that are left in or out by hand, not by a program that checks by itself."""
    pools = {part.id for part in parts if part.kind == POOL and part.spec["protocol"] == "UDP"}
    pools |= {part.parent_id for part in parts if part.kind == MONITOR and part.spec["type"] == "PING"}
    return any(part.id in changed and part.parent_id in pools for part in parts)
