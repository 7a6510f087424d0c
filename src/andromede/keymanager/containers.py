"""Containers: named groups of secrets, free (generic) or of a fixed make-up (rsa, certificate)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andromede.audit.changes import Change, Desk
from andromede.db.table import Reader
from andromede.errors import Conflict, Invalid, NotFound
from andromede.keymanager import store
from andromede.keymanager.model import Container, Member
from andromede.keymanager.quotas import Quotas
from andromede.keymanager.secrets import Secrets
from andromede.keymanager.store import Listing
from andromede.web.call import Call

KINDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "generic": (frozenset(), frozenset()),
    "rsa": (frozenset({"private_key", "public_key"}), frozenset({"private_key_passphrase"})),
    "certificate": (frozenset({"certificate"}), frozenset({"private_key", "private_key_passphrase", "intermediates"})),
}
"""Type -> the names that must be there and those that may."""
MOST_MEMBERS = 1000


class Containers:
    """What the routes and other services do with containers."""

    def __init__(self, desk: Desk, secrets: Secrets, quotas: Quotas) -> None:
        self._desk = desk
        self._secrets = secrets
        self._quotas = quotas

    def get(self, reader: Reader, container_id: str) -> Container:
        """A container. NotFound."""
        found = store.CONTAINERS.find(reader, id=container_id)
        if found is None:
            raise NotFound(f"there is no container {container_id}", "container")
        return found

    def members(self, container_id: str) -> list[Member]:
        """The secrets of a container, in their order."""
        return store.MEMBERS.select(self._desk.db, {"container_id": container_id})

    def page(self, asked: Listing) -> tuple[list[Container], int]:
        """(a page, how many there are in all)."""
        with self._desk.db.read() as tx:
            return store.page(tx, store.CONTAINERS, asked)

    def create(
        self, call: Call[Any], name: str | None, kind: str, members: Sequence[tuple[str | None, str]]
    ) -> Container:
        """A container of (name, secret id) pairs, whose secrets must be there."""
        with self._desk.change(call) as change:
            made = self.add(change, (str(call.who.project_id), call.who.user_id), name, kind, members)
            change.object, change.tenant = f"container/{made.id}", made.project_id
        return made

    def add(
        self, change: Change, owner: tuple[str, str], name: str | None, kind: str,
        members: Sequence[tuple[str | None, str]],
    ) -> Container:  # fmt: skip
        """The same within a change; `owner`: project and creator."""
        self._check(kind, members)
        project_id, creator_id = owner
        self._quotas.claim(change.tx, "containers", project_id)
        for _, secret_id in members:
            if self._secrets.get(change.tx, secret_id).project_id != project_id:
                raise NotFound(f"there is no secret {secret_id}", "secret")
        now, container_id = change.now_us, self._desk.ids.dashed()
        made = store.CONTAINERS.insert(change.tx, Container(container_id, project_id, creator_id, name, kind, now, now))
        for position, (label, secret_id) in enumerate(members):
            store.MEMBERS.insert(change.tx, Member(container_id, position, label, secret_id))
        return made

    @staticmethod
    def _check(kind: str, members: Sequence[tuple[str | None, str]]) -> None:
        if kind not in KINDS:
            raise Invalid(f"a container of type {kind!r} is not possible; the types are {', '.join(KINDS)}", "schema")
        must, may = KINDS[kind]
        names = [name for name, _ in members]
        if len(members) > MOST_MEMBERS:
            raise Invalid(f"a container holds at most {MOST_MEMBERS} secrets", "schema")
        if len({secret_id for _, secret_id in members}) < len(members):
            raise Invalid("a secret is named twice in secret_refs", "schema")
        if len({name for name in names if name}) < len([name for name in names if name]):
            raise Invalid("a name is given twice in secret_refs", "schema")
        if must and not must <= set(names) <= must | may:
            raise Invalid(
                f"a container of type {kind} needs the secrets {', '.join(sorted(must))}, and may have "
                f"{', '.join(sorted(may))}",
                "schema",
            )

    def add_member(self, call: Call[Any], container_id: str, name: str | None, secret_id: str) -> None:
        """One more secret in a generic container. Conflict when it is there already."""
        with self._desk.change(call, f"container/{container_id}") as change:
            container = self._generic(change, container_id)
            if self._secrets.get(change.tx, secret_id).project_id != container.project_id:
                raise NotFound(f"there is no secret {secret_id}", "secret")
            known = store.MEMBERS.select(change.tx, {"container_id": container_id})
            if any(one.secret_id == secret_id or (name and one.name == name) for one in known):
                raise Conflict(f"container {container_id} has this secret, or this name, already", "member")
            if len(known) >= MOST_MEMBERS:
                raise Conflict(f"container {container_id} holds {MOST_MEMBERS} secrets; remove some first", "member")
            position = store.next_position(change.tx, container_id)
            store.MEMBERS.insert(change.tx, Member(container_id, position, name, secret_id))
            store.CONTAINERS.update(change.tx, {"id": container_id}, updated_us=change.now_us)

    def remove_member(self, call: Call[Any], container_id: str, name: str | None, secret_id: str) -> None:
        """Take a secret out of a generic container. NotFound when it is not in it under this name."""
        with self._desk.change(call, f"container/{container_id}") as change:
            self._generic(change, container_id)
            where = {"container_id": container_id, "secret_id": secret_id, **({"name": name} if name else {})}
            if not store.MEMBERS.remove(change.tx, **where):
                raise NotFound(f"secret {secret_id} is not in container {container_id}", "member")
            store.CONTAINERS.update(change.tx, {"id": container_id}, updated_us=change.now_us)

    def _generic(self, change: Change, container_id: str) -> Container:
        container = self.get(change.tx, container_id)
        change.tenant = container.project_id
        if container.type != "generic":
            raise Invalid(f"container {container_id} is of type {container.type}, whose secrets are fixed", "type")
        return container

    def remove(self, call: Call[Any], container_id: str) -> None:
        """Remove a container; its secrets stay."""
        with self._desk.change(call, f"container/{container_id}") as change:
            change.tenant = self.get(change.tx, container_id).project_id
            store.CONTAINERS.remove(change.tx, id=container_id)
            store.MEMBERS.remove(change.tx, container_id=container_id)
            store.CONSUMERS.remove(change.tx, owner_id=container_id)
            store.drop_acl(change.tx, container_id)
