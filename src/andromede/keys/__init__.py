"""The key tree (docs/security-model.md): platform root, tenant keys, container and named keys, data keys."""

from andromede.keys.custody import FileRoot, Root, create_root, open_root
from andromede.keys.model import Kek, Key, Level, State
from andromede.keys.ring import KeyRing, foreign
from andromede.keys.store import MIGRATIONS

__all__ = [
    "MIGRATIONS",
    "FileRoot",
    "Kek",
    "Key",
    "KeyRing",
    "Level",
    "Root",
    "State",
    "create_root",
    "foreign",
    "open_root",
]
