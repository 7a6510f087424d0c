"""Server groups: servers that shall lie together or apart."""

from __future__ import annotations

from typing import Any

from andromede.compute import quota_store
from andromede.compute.core import Core
from andromede.compute.model import ServerGroup
from andromede.compute.quotas import Quotas
from andromede.compute.tables import GROUPS, SERVERS
from andromede.errors import NotFound
from andromede.web.call import Call


class Groups:
    """Groups of projects."""

    def __init__(self, core: Core, quotas: Quotas) -> None:
        self._core = core
        self._quotas = quotas

    def find(self, group_id: str, project_id: str | None) -> ServerGroup:
        """A group of the project, of anybody's with None. Raises `NotFound`."""
        found = GROUPS.find(self._core.desk.db, id=group_id)
        if found is None or (project_id is not None and found.project_id != project_id):
            raise NotFound(f"Instance group {group_id} could not be found.", "server_group")
        return found

    def listed(self, project_id: str | None) -> list[ServerGroup]:
        """The groups of a project, of all with None."""
        return GROUPS.select(self._core.desk.db, {} if project_id is None else {"project_id": project_id})

    def members(self, group_ids: list[str]) -> dict[str, list[str]]:
        """The servers of groups."""
        return quota_store.members(self._core.desk.db, group_ids)

    def create(self, call: Call[Any], group: ServerGroup) -> ServerGroup:
        """Add a group."""
        with self._core.desk.change(call, f"server_group/{group.id}", group.project_id) as change:
            self._quotas.check_groups(change.tx, group.project_id)
            return GROUPS.insert(change.tx, group)

    def remove(self, call: Call[Any], group: ServerGroup) -> None:
        """Delete a group; its servers stay where they are."""
        with self._core.desk.change(call, f"server_group/{group.id}", group.project_id) as change:
            GROUPS.remove(change.tx, id=group.id)
            SERVERS.update(change.tx, {"group_id": group.id}, group_id="")
