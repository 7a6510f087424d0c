"""Types of volumes, and who may use them."""

from __future__ import annotations

from andromede.db.table import Reader
from andromede.errors import NotFound
from andromede.volumes import store
from andromede.volumes.model import VolumeType
from andromede.volumes.schema import DEFAULT_TYPE
from andromede.volumes.tables import TYPES


def visible(reader: Reader, project_id: str | None) -> list[VolumeType]:
    """The types that a project may use; all with None."""
    rows = TYPES.select(reader)
    if project_id is None:
        return rows
    mine = store.project_types(reader, project_id)
    return [row for row in rows if row.is_public or row.id in mine]


def find(reader: Reader, name: str, project_id: str | None) -> VolumeType:
    """A type by id or name among those that the project may use. NotFound reason `type`."""
    row = TYPES.find(reader, id=name) or TYPES.find(reader, name=name)
    if row is None or (
        project_id is not None and not row.is_public and project_id not in store.type_projects(reader, row.id)
    ):
        raise NotFound(f"Volume type {name} could not be found.", "type")
    return row


def default(reader: Reader, project_id: str) -> VolumeType:
    """The type of a volume that names none."""
    own = dict(store.default_types(reader)).get(project_id, DEFAULT_TYPE)
    row = TYPES.find(reader, id=own) or TYPES.find(reader, id=DEFAULT_TYPE)
    if row is None:
        raise NotFound("Volume type __DEFAULT__ could not be found.", "type")
    return row
