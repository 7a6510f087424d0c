"""The key manager as other domains and the program see it."""

from __future__ import annotations

from dataclasses import dataclass

from andromede.audit.changes import Desk
from andromede.errors import NotFound
from andromede.keymanager.acls import Acls
from andromede.keymanager.containers import Containers
from andromede.keymanager.orders import Orders
from andromede.keymanager.quotas import Quotas
from andromede.keymanager.secrets import PURPOSE, Secrets, id_of
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

    def contents(self, ref: str, project_id: str, request_id: str, reader: str) -> dict[str, bytes]:
        """For a service of this program, `reader`: the payloads of a project's container by their names there, or of
        its secret, under an empty name. Each is written down before it is unsealed. `NotFound`, `Invalid`."""
        thing = id_of(ref)
        if "/containers/" not in ref:
            secret = self.secrets.find(thing, project_id)
            return {"": self.secrets.payload(secret.id, request_id, reader)}
        container = self.containers.get(self.desk.db, thing)
        if container.project_id != project_id:
            raise NotFound(f"there is no container {thing}", "container")
        members = self.containers.members(thing)
        return {one.name or "": self.secrets.payload(one.secret_id, request_id, reader) for one in members}


def build(desk: Desk, keys: KeyRing) -> KeyManager:
    """The key manager over the key tree."""
    quotas = Quotas(desk)
    secrets = Secrets(desk, Vault(keys, desk.ids, PURPOSE), quotas)
    containers = Containers(desk, secrets, quotas)
    return KeyManager(desk, secrets, containers, Orders(desk, secrets, containers, quotas), Acls(desk), quotas)
