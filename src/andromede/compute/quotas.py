"""How much a project may have. Use is counted in the transaction that adds to it, so it never overshoots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from andromede.compute import quota_store
from andromede.compute.core import Core, Version
from andromede.compute.model import Quota
from andromede.compute.tables import QUOTAS
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import Invalid, OverQuota
from andromede.web.call import Call

DEFAULTS: Mapping[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
}
NETWORK = frozenset({"fixed_ips", "floating_ips", "security_groups", "security_group_rules"})
"""Gone from 2.36 on: the network service has its own."""
INJECTED = frozenset({"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"})
"""Gone from 2.57 on."""
GROUPED = frozenset({"server_groups", "server_group_members"})
"""In classes from 2.50 on only."""


def names(version: Version, of_class: bool = False) -> list[str]:
    """The resources that a microversion knows."""
    without = (NETWORK if version >= ((2, 50) if of_class else (2, 36)) else frozenset()) | (
        INJECTED if version >= (2, 57) else frozenset()
    )
    if of_class and version < (2, 50):
        without |= GROUPED
    return [name for name in DEFAULTS if name not in without]


class Quotas:
    """Limits and use."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def defaults(self, db: Reader | None = None) -> dict[str, int]:
        """The limits of projects that nobody set any for."""
        rows = QUOTAS.select(db or self._core.desk.db, {"scope": "class"})
        return {**DEFAULTS, **{row.resource: row.hard_limit for row in rows}}

    def of(self, project_id: str, user_id: str = "", db: Reader | None = None) -> dict[str, int]:
        """The limits of a project, or of a user in it."""
        reader = db or self._core.desk.db
        found = self.defaults(reader)
        for user in ("", user_id) if user_id else ("",):
            rows = QUOTAS.select(reader, {"scope": "project", "project_id": project_id, "user_id": user})
            found |= {row.resource: row.hard_limit for row in rows}
        return found

    def used(self, project_id: str, user_id: str = "", db: Reader | None = None) -> dict[str, int]:
        """What is used of each resource that is counted by project."""
        reader = db or self._core.desk.db
        count, cores, ram = quota_store.servers(reader, project_id, user_id)
        return {"instances": count, "cores": cores, "ram": ram, "server_groups": quota_store.groups(reader, project_id)}

    def check_servers(self, tx: Tx, project_id: str, user_id: str, wanted: Mapping[str, int]) -> None:
        """Raise `OverQuota` when a project cannot have this much more of instances, cores and ram."""
        for user in ("", user_id):
            limits, used = self.of(project_id, user, tx), self.used(project_id, user, tx)
            over = [name for name, more in wanted.items() if more > 0 and 0 <= limits[name] < used[name] + more]
            if over:
                asked = ", ".join(str(wanted[name]) for name in over)
                had = ", ".join(str(used[name]) for name in over)
                most = ", ".join(str(limits[name]) for name in over)
                raise OverQuota(
                    f"Quota exceeded for {', '.join(over)}: Requested {asked}, but already used {had} of {most} "
                    f"{', '.join(over)}",
                    "quota",
                )

    def check_keypairs(self, tx: Tx, user_id: str) -> None:
        """Raise `OverQuota` when a user has as many keys as is allowed."""
        limit = self.defaults(tx)["key_pairs"]
        if 0 <= limit <= quota_store.keypairs(tx, user_id):
            raise OverQuota("Quota exceeded, too many key pairs.", "quota")

    def check_groups(self, tx: Tx, project_id: str) -> None:
        """The same for server groups."""
        limit = self.of(project_id, db=tx)["server_groups"]
        if 0 <= limit <= quota_store.groups(tx, project_id):
            raise OverQuota("Quota exceeded, too many server groups.", "quota")

    def check_items(self, project_id: str, resource: str, count: int, what: str) -> None:
        """Raise `OverQuota` for more metadata or files than one server may have."""
        limit = self.of(project_id)[resource]
        if 0 <= limit < count:
            raise OverQuota(f"{what} limit exceeded: at most {limit} are allowed, {count} were sent.", "quota")

    def update(self, call: Call[Any], whose: tuple[str, str], limits: Mapping[str, int], force: bool) -> None:
        """Set limits of (project, user). Raises `Invalid` below what is used, unless forced, and for a user's limit
        above the project's."""
        project_id, user_id = whose
        with self._core.desk.change(call, f"quota/{project_id}") as change:
            used = self.used(project_id, user_id, change.tx)
            whole = self.of(project_id, db=change.tx)
            for name, limit in limits.items():
                if not force and 0 <= limit < used.get(name, 0):
                    raise Invalid(
                        f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                        f"{used[name]}.",
                        "quota",
                    )
                if user_id and (limit < 0 <= whole[name] or 0 <= whole[name] < limit):
                    raise Invalid(
                        f"Quota limit {limit} for {name} must be less than or equal to {whole[name]}.", "quota"
                    )
                self._set(change.tx, Quota("project", project_id, user_id, name, limit))

    @staticmethod
    def _set(tx: Tx, quota: Quota) -> None:
        key = {
            "scope": quota.scope,
            "project_id": quota.project_id,
            "user_id": quota.user_id,
            "resource": quota.resource,
        }
        if not QUOTAS.update(tx, key, hard_limit=quota.hard_limit):
            QUOTAS.insert(tx, quota)

    def update_class(self, call: Call[Any], limits: Mapping[str, int]) -> None:
        """Set the limits of every project that has none of its own."""
        with self._core.desk.change(call, "quota-class/default") as change:
            for name, limit in limits.items():
                self._set(change.tx, Quota("class", "", "", name, limit))

    def reset(self, call: Call[Any], project_id: str, user_id: str) -> None:
        """Forget the limits of a project, or of a user in it."""
        with self._core.desk.change(call, f"quota/{project_id}") as change:
            where = {"scope": "project", "project_id": project_id}
            QUOTAS.remove(change.tx, **(where | ({"user_id": user_id} if user_id else {})))
