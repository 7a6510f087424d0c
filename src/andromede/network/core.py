"""What the parts of the network service share: the desk, settings, and one piece of work in its transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as column
from typing import Any

from andromede.audit.changes import Change, Desk
from andromede.config import Hosting
from andromede.db import Tx
from andromede.network import listing_store, quota_store, work_store
from andromede.network.faults import bad, forbidden, over
from andromede.network.shape import Shape, Who, build, fields
from andromede.web.call import Call


@dataclass(frozen=True, slots=True)
class Core:
    """Shared by all parts; immutable. `known`: whether a project exists. `host`: the name of this hypervisor host."""

    desk: Desk
    settings: Hosting
    known: Callable[[str], bool]
    host: str

    @contextmanager
    def job(self, call: Call[Any], object: str = "", tenant: str = "") -> Iterator[Job]:
        """One transaction of a request, with its event; parts whose wishes changed are due at its end."""
        with self.desk.change(call, object, tenant) as change:
            job = Job(self, change, Who.of(call.who), call.request_id)
            yield job
            job.finish()

    @contextmanager
    def errand(
        self, action: str, object: str, tenant: str, request_id: str, tx: Tx | None = None
    ) -> Iterator[Job]:  # fmt: skip
        """The same for another domain or the program itself, which may do everything; as a part of a change of theirs
        where they name its transaction."""
        what = f"network:{action}", object, tenant, request_id
        with self.desk.system(*what) if tx is None else self.desk.within(tx, *what) as change:
            job = Job(self, change, Who(tenant, True), request_id)
            yield job
            job.finish()


@dataclass(slots=True)
class Job:
    """A piece of work under way. `touched`: parts whose wishes it changed; `gone`: parts to take away; `shifts`:
    networks of which it changed ports alone, with each port's members of security groups before and after."""

    core: Core
    change: Change
    who: Who
    request_id: str
    touched: set[str] = column(default_factory=set)
    gone: set[str] = column(default_factory=set)
    shifts: dict[str, dict[str, set[tuple[str, str]]]] = column(default_factory=dict)

    @property
    def tx(self) -> Tx:
        return self.change.tx

    @property
    def now_us(self) -> int:
        return self.change.now_us

    def touch(self, *parts: str) -> None:
        """The wishes of these networks and routers changed."""
        self.touched.update(part for part in parts if part)

    def shift(self, network_id: str, port_id: str, members: Iterable[tuple[str, str]]) -> None:
        """The wishes of this network changed by one port; `members`: (group, address) that it had or has."""
        self.shifts.setdefault(network_id, {}).setdefault(port_id, set()).update(members)

    def finish(self) -> None:
        """Raise generations and leave the wishes, once for each part."""
        for part in sorted((self.touched | self.shifts.keys()) - self.gone):
            work_store.bump(self.tx, part, self.now_us, self.request_id)
            if part not in self.touched:
                for port_id, members in self.shifts[part].items():
                    work_store.shifted(self.tx, part, port_id, members)
        for part in sorted(self.gone):
            work_store.end(self.tx, part, self.now_us, self.request_id)

    def generation(self, part: str) -> int:
        """The generation that will hold this job's wishes for a part."""
        return work_store.wished(self.tx, part) + 1

    def as_admin(self) -> Job:
        """The same work, with every right: for what the service does by itself in its course."""
        return replace(self, who=Who(self.who.project_id, True), touched=self.touched, gone=self.gone,
                       shifts=self.shifts)  # fmt: skip

    def insert(self, shape: Shape, values: Mapping[str, Any], **extra: Any) -> Any:
        """A new row from attributes and further fields; within the quota of its project."""
        owner = str(values["project_id"])
        if owner != self.who.project_id and not self.core.known(owner):
            bad(f"project {owner} does not exist")
        self.within(shape, owner)
        standard = {"id": self.core.desk.ids.dashed(), "name": "", "description": "", "created_us": self.now_us,
                    "updated_us": self.now_us, "revision": 0}  # fmt: skip
        columns = standard | fields(shape, values) | extra
        return shape.table.insert(self.tx, build(shape, columns))

    def within(self, shape: Shape, project_id: str, more: int = 1) -> None:
        """Raise `OverQuota` when the project may not have so many more."""
        if not shape.quota:
            return
        limit = quota_store.limit(self.tx, project_id, shape.quota)
        if 0 <= limit < quota_store.used(self.tx, shape.table.name, project_id) + more:
            over([shape.quota])

    def update(self, shape: Shape, row: Any, **changes: Any) -> Any:
        """Change fields of a row; the new one, its revision raised."""
        changes |= {"updated_us": self.now_us, "revision": row.revision + 1}
        shape.table.update(self.tx, {"id": row.id}, **changes)
        return replace(row, **changes)

    def seen(self, shape: Shape, object_id: str) -> Any:
        """A row that the caller may see; else 404."""
        row = listing_store.seen(self.tx, shape, self.who, object_id)
        return row if row is not None else shape.lost(object_id)

    def owned(self, shape: Shape, object_id: str, verb: str = "update") -> Any:
        """A row that the caller may change: 404 for what it may not see, 403 for what it may only see. Its project is
        the one whose log gets the event."""
        row = self.seen(shape, object_id)
        if not self.who.owns(row):
            forbidden(f"{verb}_{shape.singular}")
        self.concern(row.project_id)
        return row

    def concern(self, project_id: str) -> None:
        """The event belongs into the log of this project."""
        self.change.tenant = self.change.tenant or project_id
