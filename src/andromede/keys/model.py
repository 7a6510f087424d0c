"""Values of the key tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Level(StrEnum):
    """Where in the tree a key stands. Data keys are not rows: they stand wrapped beside their bytes."""

    TENANT = "tenant"
    CONTAINER = "container"
    NAMED = "named"


class State(StrEnum):
    """States as in KMIP 2.1, those that a stored key can be in."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Key:
    """A wrapping key. `parent` is "" under the platform root. `name`: chosen by the tenant (level
    named) or empty. `wrapped` is None once destroyed. `version` counts rotations from 1."""

    id: str
    parent: str
    tenant: str
    level: Level
    name: str
    origin: str
    holder: str
    state: State
    version: int
    wrapped: bytes | None = field(repr=False)
    created_us: int
    destroyed_us: int | None


@dataclass(frozen=True, slots=True)
class Kek:
    """A wrapping key in memory, usable until `expires` (monotonic seconds)."""

    id: str
    version: int
    tenant: str
    aead: AESGCM = field(repr=False)
    expires: float
