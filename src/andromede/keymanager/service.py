"""The key manager as other domains and the program see it."""

from __future__ import annotations

from dataclasses import dataclass

from andromede.audit.changes import Desk
from andromede.keymanager.acls import Acls
from andromede.keymanager.containers import Containers
from andromede.keymanager.orders import Orders
from andromede.keymanager.quotas import Quotas
from andromede.keymanager.secrets import PURPOSE, Secrets
from andromede.keys import KeyRing, Vault

__all__ = ["KeyManager", "Secrets", "build"]


@dataclass(frozen=True, slots=True)
class KeyManager:
    """Every part of the key manager over one database."""

    desk: Desk
    secrets: Secrets
    containers: Containers
    orders: Orders
    acls: Acls
    quotas: Quotas


def build(desk: Desk, keys: KeyRing) -> KeyManager:
    """The key manager over the key tree."""
    quotas = Quotas(desk)
    secrets = Secrets(desk, Vault(keys, desk.ids, PURPOSE), quotas)
    containers = Containers(desk, secrets, quotas)
    return KeyManager(desk, secrets, containers, Orders(desk, secrets, containers, quotas), Acls(desk), quotas)
