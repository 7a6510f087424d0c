"""A load by threads, one for each connection, and what it comes to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bench.figures import Line, summary


class Threads:
    """What the threads of a load share: the size of a body in bytes, seconds of each good answer, words of each bad."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def run(self, work: Callable[[int, float], None], connections: int, seconds: float) -> Line:
        """`work(number, end)` in a thread for each connection until all are done; the rate in megabytes a second.

        `end` is that many seconds from now by time.perf_counter, or 0 where `seconds` is 0."""
        began = time.perf_counter()
        end = began + seconds if seconds else 0.0
        threads = [threading.Thread(target=work, args=(number, end)) for number in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return summary(self.seconds, self.failures, time.perf_counter() - began, self.size / 1e6)
