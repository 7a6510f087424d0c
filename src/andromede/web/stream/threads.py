"""A bounded, lazily grown pool of handler threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Threads:
    """At most `most` threads and `queued` waiting jobs. `submit` is called on one thread (the loop's)."""

    def __init__(self, most: int, queued: int) -> None:
        self._most = most
        self._queued = queued
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._count = 0
        self._lock = threading.Lock()
        self._free = 0

    def submit(self, job: Job) -> bool:
        """Run the job on a thread; False when too many wait already."""
        with self._lock:
            self._free -= 1
            grow = self._free < 0 and self._count < self._most
            if not grow and -self._free > self._queued:
                self._free += 1
                return False
            if grow:
                self._count += 1
                self._free += 1
        self._jobs.put(job)
        if grow:
            threading.Thread(target=self._run, name=f"object-{self._count}", daemon=True).start()
        return True

    def stop(self) -> None:
        """Let every thread end after the jobs at hand."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._free += 1
