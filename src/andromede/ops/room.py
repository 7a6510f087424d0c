"""Watches the room on the disk of the database: keeps its reserve, and alerts for as long as it is given up."""

from __future__ import annotations

from pathlib import Path

from andromede.db.reserve import Reserve, free
from andromede.log import Log

SECONDS = 10.0
REPEAT = 6
"""Turns between two alerts."""


class Room:
    """One per installation, in the work role."""

    def __init__(self, reserve: Reserve, folder: Path, log: Log) -> None:
        self._reserve = reserve
        self._folder = folder
        self._log = log
        self._turns = 0

    def turn(self) -> bool:
        """Take the reserve again if there is room."""
        if self._reserve.hold():
            if self._turns:
                self._log.event("storage.room", "warning", text="there is room again: bodies are taken")
            self._turns = 0
        else:
            if self._turns % REPEAT == 0:
                left, size = free(self._folder)
                text = "the disk is full: bodies are refused, reads and deletes go on for a while; make room"
                self._log.alert("storage.full", free=left, size=size, text=text)
            self._turns += 1
        return False
