"""The key tree (docs/security-model.md): platform root, tenant keys, container and named keys, data keys."""

from andromede.keys.custody import FileRoot, Root, create_root, open_root
from andromede.keys.model import Kek, Key, Level, State
from andromede.keys.ring import KeyRing, foreign
from andromede.keys.sealed import MIGRATION, Vault
from andromede.keys.store import MIGRATIONS as _STEPS

MIGRATIONS = (*_STEPS, MIGRATION)

__all__ = [
    "MIGRATIONS",
    "FileRoot",
    "Kek",
    "Key",
    "KeyRing",
    "Level",
    "Root",
    "State",
    "Vault",
    "create_root",
    "foreign",
    "open_root",
]
