"""The newest versions of keys that are asked for often, each remembered while nobody changes any object.

What `Lookup` does for containers: a value is good for one `Database.version` of objects, which differs after
every commit that could alter a version, a key of the tree or anything else that a version stands for. Events
of reads do not count. Where the database has no such number nothing is remembered.
"""

from __future__ import annotations

from andromede.db import Database, Reach
from andromede.objects.model import Version

MOST = 4096
Name = tuple[int, str]


class Heads:
    """Shared by all threads of a process. What `get` returns was the newest version at one moment during the call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._recent: tuple[bytes | None, dict[Name, Version]] = (None, {})

    def get(self, container_id: int, key: str) -> tuple[Version | None, dict[Name, Version] | None]:
        """(the version, if it is known; where to keep what is read now, if it may be kept). The shelf is taken
        before the row is read: a change in between makes the shelf old, never the row on it."""
        version = self._db.version(Reach.OBJECTS)
        if version is None:
            return None, None
        recent = self._recent
        if recent[0] != version or len(recent[1]) >= MOST:
            recent = self._recent = version, {}
            return None, recent[1]
        return recent[1].get((container_id, key)), recent[1]
