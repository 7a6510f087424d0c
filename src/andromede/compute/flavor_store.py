"""Queries over flavors."""

from __future__ import annotations

import json

from andromede.compute.model import Flavor
from andromede.compute.tables import FLAVORS
from andromede.db.table import Reader


def listing(db: Reader, public: bool | None, project_id: str) -> list[Flavor]:
    """Flavors by id; public ones come with those that the project may use, None is all."""
    if public is None:
        return FLAVORS.query(db, "ORDER BY t.id", ())
    if not public:
        return FLAVORS.query(db, "WHERE t.public = 0 ORDER BY t.id", ())
    tail = (
        "WHERE t.public = 1 OR EXISTS (SELECT 1 FROM compute_flavor_access a "
        "WHERE a.flavor_id = t.id AND a.project_id = ?) ORDER BY t.id"
    )
    return FLAVORS.query(db, tail, (project_id,))


def specs(db: Reader, flavor_id: str) -> dict[str, str]:
    """The extra specs of a flavor."""
    row = db.one("SELECT extra_specs FROM compute_flavor WHERE id = ?", (flavor_id,))
    return {} if row is None else dict(json.loads(str(row[0])))


PROVIDED = "compute_flavors_provided"


def any_provided(db: Reader) -> bool:
    """Whether this installation got its first flavors already."""
    return db.one("SELECT 1 FROM sequence WHERE name = ?", (PROVIDED,)) is not None
