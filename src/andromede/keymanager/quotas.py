"""Quotas: how many secrets, orders, containers and consumers a project may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from andromede.audit.changes import Desk
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import Invalid, NotFound, OverQuota
from andromede.keymanager import store
from andromede.keymanager.model import RESOURCES, UNLIMITED, Quota
from andromede.web.call import Call


class Quotas:
    """Limits of projects; without one of its own a project has no limit."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def effective(self, reader: Reader, project_id: str) -> dict[str, int]:
        """Every limit of a project; -1: none."""
        own = store.QUOTAS.find(reader, project_id=project_id)
        return dict.fromkeys(RESOURCES, UNLIMITED) | (own.limits if own else {})

    def claim(self, tx: Tx, resource: str, project_id: str, count: int = 1) -> None:
        """Raise `OverQuota` when so many more would be too many."""
        limit = self.effective(tx, project_id)[resource]
        if limit == UNLIMITED:
            return
        have = store.count(tx, resource, project_id)
        if have + count > limit:
            raise OverQuota(
                f"the quota of project {project_id} is {limit} {resource}, and it has {have}; delete some, or ask the "
                "operator for more",
                "quota",
            )

    def all(self, limit: int, offset: int) -> tuple[list[Quota], int]:
        """(a page of the quotas that were set, how many there are)."""
        rows = store.QUOTAS.select(self._desk.db)
        return rows[offset : offset + limit], len(rows)

    def own(self, project_id: str) -> Quota:
        """What was set for a project. NotFound when nothing was."""
        found = store.QUOTAS.find(self._desk.db, project_id=project_id)
        if found is None:
            raise NotFound(f"project {project_id} has no quotas of its own", "quota")
        return found

    def set(self, call: Call[Any], project_id: str, limits: Mapping[str, int | None]) -> None:
        """Replace a project's limits; a limit of None is the default."""
        for name, value in limits.items():
            if name not in RESOURCES or (value is not None and value < UNLIMITED):
                raise Invalid(f"quota {name}={value}: the resources are {', '.join(RESOURCES)}, from -1 on", "schema")
        kept = {name: value for name, value in limits.items() if value is not None}
        with self._desk.change(call, f"quota/{project_id}", project_id) as change:
            store.QUOTAS.remove(change.tx, project_id=project_id)
            store.QUOTAS.insert(change.tx, Quota(project_id, kept))

    def remove(self, call: Call[Any], project_id: str) -> None:
        """Give a project the defaults again."""
        with self._desk.change(call, f"quota/{project_id}", project_id) as change:
            if not store.QUOTAS.remove(change.tx, project_id=project_id):
                raise NotFound(f"project {project_id} has no quotas of its own", "quota")
