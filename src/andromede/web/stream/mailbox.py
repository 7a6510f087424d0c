"""Outcomes on their way from other threads to the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any


class Mailbox:
    """A queue that wakes the loop once for whatever has gathered until it looks.

    `_armed` is set before waking and cleared before emptying: a letter put after the clearing arms
    again, one put before it is seen by the emptying. Two threads arming at once cost a spare wake-up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._letters: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._armed = False

    def put(self, receiver: Callable[[Any], None], letter: Any) -> None:
        """Queue without waking; `wake` must follow."""
        self._letters.append((receiver, letter))

    def wake(self) -> None:
        """Have the loop empty the queue soon."""
        if not self._armed:
            self._armed = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._armed = False
        try:
            for _ in range(len(self._letters)):
                receiver, letter = self._letters.popleft()
                receiver(letter)
        finally:
            if self._letters:
                self.wake()
