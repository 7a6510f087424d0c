"""Where backups of volumes lie: in a hidden container of their project, encrypted under its keys like all it stores."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator

from andromede.audit.changes import SYSTEM
from andromede.errors import NotFound
from andromede.objects.model import (
    NO_CONDITIONS,
    Attributes,
    Container,
    DeleteOptions,
    ListQuery,
    Receive,
    Trace,
    Version,
)
from andromede.objects.service import Objects

PURPOSE = "backups"
_PAGE = 1000


def _trace(action: str, request_id: str) -> Trace:
    return Trace(None, action, request_id, "work", label=SYSTEM)


class ObjectVault:
    """Bytes of a project by name."""

    def __init__(self, objects: Callable[[], Objects]) -> None:
        self._made = objects

    @property
    def _objects(self) -> Objects:
        return self._made()

    def _container(self, project_id: str, request_id: str = "") -> Container:
        """The project's container, which its clients do not see."""
        return self._objects.hidden_container(project_id, PURPOSE, _trace("volume:store_backup", request_id))

    def put(self, project_id: str, name: str, data: bytes, request_id: str) -> None:
        """Store or replace."""
        objects, container = self._objects, self._container(project_id, request_id)
        trace = _trace("volume:store_backup", request_id)
        stored = objects.receive(container, io.BytesIO(data), Receive(length=len(data), opaque=True))
        objects.run(objects.put(container, name, stored, Attributes(), NO_CONDITIONS, trace))

    def get(self, project_id: str, name: str) -> bytes:
        """NotFound reason `object`."""
        objects = self._objects
        return bytes(objects.read_all(objects.head(self._container(project_id), name)))

    def names(self, project_id: str, prefix: str) -> Iterator[str]:
        """Every name that begins so, in order."""
        container, after = self._container(project_id), ""
        while True:
            page = self._objects.list_objects(container, ListQuery(prefix=prefix, after=after, limit=_PAGE))
            for entry in page.entries:
                if isinstance(entry, Version):
                    yield entry.key
            if not page.truncated:
                return
            after = page.last

    def remove(self, project_id: str, name: str, request_id: str) -> None:
        """It is not there."""
        container, trace = self._container(project_id, request_id), _trace("volume:remove_backup", request_id)
        with contextlib.suppress(NotFound):
            self._objects.run(self._objects.delete(container, name, None, DeleteOptions(), trace))
