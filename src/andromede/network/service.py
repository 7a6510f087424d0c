"""The network service's door for other domains and for the composition root."""

from __future__ import annotations

from andromede.network import groups
from andromede.network.core import Core
from andromede.network.tables import GROUPS

__all__ = ["Core", "Networks"]


class Networks:
    """Networks, ports and addresses, for those who use them."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def default_group(self, project_id: str, request_id: str) -> str:
        """The id of a project's default security group, which is made now if need be."""
        row = GROUPS.find(self.core.desk.db, project_id=project_id, is_default=True)
        if row is not None:
            return row.id
        with self.core.errand("create_security_group", "security_group/default", project_id, request_id) as job:
            return groups.default(job, project_id).id
