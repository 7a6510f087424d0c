"""The rows of capacity: who offers what, and who has taken it. Placement shows and edits them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """Something that offers resources; a host's has the host's id. `generation` rises with every change of its
    inventory or allocations: a writer that has read an older one must read again."""

    id: str
    name: str
    generation: int
    parent_id: str | None
    root_id: str
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """How much of a resource class a provider has: at most (total - reserved) x ratio is given out.
    `allocation_ratio` is a decimal number as text."""

    provider_id: str
    resource_class: str
    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 2147483647
    step_size: int = 1
    allocation_ratio: str = "1.0"

    @property
    def capacity(self) -> int:
        """What may be given out."""
        return int((self.total - self.reserved) * float(self.allocation_ratio))


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who holds allocations: a server, mostly."""

    id: str
    project_id: str
    user_id: str
    generation: int
    consumer_type: str
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a consumer has taken of a provider. During a resize a server's books hold old and new together."""

    consumer_id: str
    provider_id: str
    resource_class: str
    used: int
