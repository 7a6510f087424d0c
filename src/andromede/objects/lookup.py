"""Look-up of containers with copies in memory, each proven by a generation read at every use."""

from __future__ import annotations

from collections.abc import Callable

from andromede.db import Database, Row
from andromede.objects import container_store
from andromede.objects.container_store import State, no_bucket
from andromede.objects.model import Container

MOST = 10_000
Stamp = tuple[int, int, int | None]
Name = tuple[str | None, str, str]


class Lookup:
    """Shared by all threads of a process. What it returns was true at one moment during the call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[int, tuple[Stamp, State]] = {}
        self._recent: tuple[bytes | None, dict[Name, State]] = (None, {})

    def named(self, project_id: str, name: str) -> State:
        """NotFound reason `bucket`."""
        return self._found((project_id, name, ""), lambda: container_store.stamp(self._db, project_id, name))

    def bucket(self, s3_name: str, project_id: str | None) -> State:
        """The project's own container, else by installation-wide S3 name."""

        def look() -> Row | None:
            stamp = container_store.stamp(self._db, project_id, s3_name) if project_id else None
            return stamp or container_store.s3_stamp(self._db, s3_name)

        return self._found((project_id, s3_name, "s3"), look)

    def _found(self, key: Name, look: Callable[[], Row | None]) -> State:
        """The state behind a name; the look-up is spared while nobody has committed anything since the last one."""
        version = self._db.version()
        recent = self._recent
        if version is None or recent[0] != version or len(recent[1]) >= MOST:
            recent = self._recent = version, {}
        state = recent[1].get(key)
        if state is None:
            stamp, name = look(), key[1]
            if stamp is None:
                raise no_bucket(name)
            state = recent[1][key] = self._state((stamp[0], stamp[1], stamp[2]), name)
        return state

    def state(self, container: Container) -> State:
        """What belongs to a container value: the copy in memory if it is of that generation."""
        known = self._known.get(container.id)
        if known is not None and known[0][1] == container.generation:
            return known[1]
        return self._load(container.id, container.name)

    def tenant(self, container_id: int) -> str:
        """The project of a container by id: under whose keys its objects are. NotFound reason `bucket`."""
        known = self._known.get(container_id)
        state = known[1] if known is not None else self._load(container_id, "")
        return state.container.project_id

    def _state(self, stamp: Stamp, name: str) -> State:
        known = self._known.get(stamp[0])
        if known is not None and known[0] == stamp:
            return known[1]
        return self._load(stamp[0], name)

    def _load(self, container_id: int, name: str) -> State:
        state = container_store.state(self._db, container_id)
        if state is None:
            raise no_bucket(name)
        account = state.account.generation if state.account.exists else None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[container_id] = ((container_id, state.container.generation, account), state)
        return state
