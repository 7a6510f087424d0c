"""Limits of projects, checked in the transaction that uses them up."""

from __future__ import annotations

from collections.abc import Mapping

from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import OverQuota
from andromede.volumes import store
from andromede.volumes.model import VolumeType
from andromede.volumes.tables import TYPES

DEFAULTS: Mapping[str, int] = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "backups": 10,
    "backup_gigabytes": 1000,
    "per_volume_gigabytes": -1,
    "groups": 10,
}
"""-1: no limit."""
TYPED = ("volumes", "gigabytes", "snapshots")
CLASS = "class:default"
"""Where the defaults that an administrator has changed are kept, among the projects' own."""


def defaults(reader: Reader) -> dict[str, int]:
    """The limits of a project for which none were set, those of each type (`volumes_NAME`) included."""
    typed = {f"{kind}_{row.name}": -1 for row in TYPES.select(reader) for kind in TYPED}
    return {**DEFAULTS, **typed, **store.quotas(reader, CLASS)}


def limits(reader: Reader, project_id: str) -> dict[str, int]:
    """The limits of a project."""
    return {**defaults(reader), **store.quotas(reader, project_id)}


def usage(reader: Reader, project_id: str) -> dict[str, int]:
    """What a project uses, by the names of `limits`."""
    sums = store.sums(reader, project_id)
    typed = {f"{kind}_{row.name}": sums.get(f"{kind}_{row.id}", 0) for row in TYPES.select(reader) for kind in TYPED}
    return {name: sums.get(name, 0) for name in DEFAULTS} | typed


def claim(tx: Tx, project_id: str, kind: VolumeType | None, **amounts: int) -> None:
    """Raise `OverQuota` where `amounts` more of each name would go beyond a limit of the project."""
    allowed, used = limits(tx, project_id), store.sums(tx, project_id)
    for name, amount in amounts.items():
        asked = [(name, name)]
        if kind is not None and name in TYPED:
            asked.append((f"{name}_{kind.name}", f"{name}_{kind.id}"))
        for limit_name, sum_name in asked:
            limit, now = allowed.get(limit_name, -1), used.get(sum_name, 0)
            if 0 <= limit < now + amount:
                raise OverQuota(
                    f"Requested {limit_name} exceed the quota: {amount} more than the {now} in use, "
                    f"and {limit} are allowed. Delete something or ask for a larger quota.",
                    "quota",
                    retry_after=0,
                )


def claim_size(tx: Tx, project_id: str, size: int) -> None:
    """Raise `OverQuota` where one volume may not be so large (GiB)."""
    limit = limits(tx, project_id)["per_volume_gigabytes"]
    if 0 <= limit < size:
        raise OverQuota(
            f"Requested volume size {size} GiB is larger than the {limit} GiB that a volume may have.",
            "quota",
            retry_after=0,
        )
