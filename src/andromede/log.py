"""One JSON line per event on standard error. Never holds secrets: callers pass identifiers only."""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from typing import Any, TextIO

from andromede.clock import Clock, SystemClock, iso_micro

_LEVELS = ("debug", "info", "warning", "error")
_lock = threading.Lock()
MOST_UNSAID = 200
"""Alerts kept in memory while the log cannot be written: the oldest, which tell how the trouble began."""


class Log:
    """A sink with fixed fields (`role`, `pid`), written whole lines at a time."""

    def __init__(
        self, stream: TextIO | None = None, level: str = "info", clock: Clock | None = None, **fields: Any
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._rank = _LEVELS.index(level)
        self._clock = clock or SystemClock()
        self._level = level
        self._fields = fields
        self._unsaid: deque[str] = deque()

    def bind(self, **fields: Any) -> Log:
        """A log that adds these fields to each line."""
        bound = Log(self._stream, self._level, self._clock, **{**self._fields, **fields})
        bound._unsaid = self._unsaid
        return bound

    def event(self, name: str, level: str = "info", **fields: Any) -> None:
        """Write one line: instant, level, event name, fields. Values that JSON lacks are shown by `str`."""
        if _LEVELS.index(level) < self._rank:
            return
        record = {"ts": iso_micro(self._clock.now_us()), "level": level, "event": name, **self._fields, **fields}
        line = json.dumps(record, default=str, ensure_ascii=False)
        with _lock:
            try:
                while self._unsaid:
                    self._put(self._unsaid[0])
                    self._unsaid.popleft()
                self._put(line)
            except OSError:  # a full disk must not end what it cannot write about
                if fields.get("alert") and len(self._unsaid) < MOST_UNSAID:
                    self._unsaid.append(line)

    def _put(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def alert(self, name: str, **fields: Any) -> None:
        """A line that an operator must see: damage, stuck work, failed commits."""
        self.event(name, "error", alert=True, **fields)
