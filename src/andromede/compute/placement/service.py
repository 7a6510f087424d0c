"""Placement as the program sees it."""

from __future__ import annotations

from dataclasses import dataclass

from andromede.audit.changes import Desk
from andromede.compute.placement.allocations import Allocations
from andromede.compute.placement.books import Books


@dataclass(frozen=True, slots=True)
class Placement:
    """Providers and consumers over one database."""

    desk: Desk
    books: Books
    allocations: Allocations


def build(desk: Desk) -> Placement:
    """Placement over the rows of capacity."""
    books = Books(desk)
    return Placement(desk, books, Allocations(desk, books))
