"""What a piece of work asks of SQLite: statements, and steps of its machine, which tell how much is read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

STEP = 10
"""How many steps are counted as one."""


class Meter:
    """What happens on the calling thread's connection. `figures`: CPU milliseconds, statements, steps of each run."""

    def __init__(self, database: Any) -> None:
        self.figures: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
        self._statements = self._steps = 0
        connection = database._conn()
        connection.set_progress_handler(self._step, STEP)
        connection.set_trace_callback(self._statement)

    def _step(self) -> int:
        self._steps += STEP
        return 0

    def _statement(self, text: str) -> None:
        self._statements += not text.startswith(("BEGIN", "COMMIT", "ROLLBACK"))

    def __call__(self, what: str, act: Callable[[], Any]) -> Any:
        self._statements = self._steps = 0
        begun = time.process_time()
        found = act()
        spent = (time.process_time() - begun) * 1000
        self.figures[what].append((spent, self._statements, self._steps))
        return found
