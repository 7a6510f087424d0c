"""An object that is replaced between the look at it and the reading of its parts: the request looks again.

The parts of an object leave the database with it. A reader that found the object before and asks for its parts after
must not say that there is none, when the key had an object all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from andromede.errors import NotFound

A = TypeVar("A")
R = TypeVar("R")
TRIES = 10
"""Looks at one object, each of which another write must have overtaken, before the caller is told."""


class Replaced(NotFound):
    """What was found is there no more; raised before the first byte."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} was replaced or deleted meanwhile", "object", key=key)


def steadily(handle: Callable[[A], R], asked: A) -> R:
    """Answer a request, looking again as long as what it finds is replaced. Raises `Replaced` after `TRIES`."""
    for _ in range(TRIES - 1):
        try:
            return handle(asked)
        except Replaced:
            continue
    return handle(asked)
