"""A bounded, lazily grown pool of handler threads."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Threads:
    """At most `most` threads and `queued` waiting jobs. Jobs do not raise.

    Jobs that wait for a client (`slow`) occupy at most `slow_most` threads at a time, so that clients
    who send slowly cannot keep everybody else waiting. `submit` is called on one thread (the loop's).
    """

    def __init__(self, most: int, slow_most: int, queued: int) -> None:
        self._most = most
        self._queued = queued
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._free = 0  # idle threads, less jobs that wait for one
        self._slow_free = min(slow_most, most)
        self._slow: deque[Job] = deque()

    def submit(self, job: Job, slow: bool = False) -> bool:
        """Run the job on a thread; False when too many wait already."""
        with self._lock:
            waiting = len(self._slow) - min(self._free, 0)
            if waiting >= self._queued and (self._slow or self._count >= self._most):
                return False
            if slow:
                if not self._slow_free:
                    self._slow.append(job)
                    return True
                self._slow_free -= 1
            grow = self._free <= 0 and self._count < self._most
            if grow:
                self._count += 1
            else:
                self._free -= 1
        self._jobs.put(self._slow_turn(job) if slow else job)
        if grow:
            threading.Thread(target=self._run, name=f"object-{self._count}", daemon=True).start()
        return True

    def stop(self) -> None:
        """Let every thread end after the jobs at hand."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _slow_turn(self, job: Job) -> Job:
        """The job, and after it the other slow jobs that wait, one by one on the same thread."""

        def turn() -> None:
            following: Job | None = job
            while following is not None:
                following()
                with self._lock:
                    following = self._slow.popleft() if self._slow else None
                    if following is None:
                        self._slow_free += 1

        return turn

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
            with self._lock:
                self._free += 1
