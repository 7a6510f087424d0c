"""Secrets: made, filled, read and destroyed. What they hold is sealed under a data key of their own, which stands
wrapped under the project's vault in the key tree; without that wrapping nobody reads it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from andromede.audit.changes import Change, Desk
from andromede.db import Reach, Tx
from andromede.db.table import Reader
from andromede.errors import Conflict, Fatal, Invalid, NotFound
from andromede.keymanager import store
from andromede.keymanager.model import Consumer, Secret
from andromede.keymanager.quotas import Quotas
from andromede.keymanager.store import Listing
from andromede.keys import Vault
from andromede.web.call import Call

_IV = 12
PURPOSE = "secrets"
EXPIRED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a client told of a new secret, checked. `payload`: (bytes, content type)."""

    name: str | None = None
    secret_type: str = "opaque"
    algorithm: str | None = None
    bit_length: int | None = None
    mode: str | None = None
    expiration_us: int | None = None
    payload: tuple[bytes, str] | None = None


def id_of(ref: str) -> str:
    """The id of a secret or container from its URL or from itself. Invalid for anything else."""
    last = urlsplit(ref).path.rstrip("/").rpartition("/")[2] if "/" in ref else ref
    if len(last) != 36 or not set(last.lower()) <= set("0123456789abcdef-"):
        raise Invalid(f"{ref!r} names no secret: give its URL as the key manager told it", "ref")
    return last.lower()


def _bound(secret_id: str, project_id: str) -> bytes:
    return f"andromede/secret/v1\0{secret_id}\0{project_id}".encode()


class Secrets:
    """What other services and the routes do with secrets."""

    def __init__(self, desk: Desk, vault: Vault, quotas: Quotas) -> None:
        self._desk = desk
        self._vault = vault
        self._quotas = quotas

    # --- for other services

    def find(self, ref: str, project_id: str) -> Secret:
        """A secret of a project by URL or id. NotFound for one of another project."""
        secret = self.get(self._desk.db, id_of(ref))
        if secret.project_id != project_id:
            raise NotFound(f"there is no secret {secret.id}", "secret")
        return secret

    def payload(self, secret_id: str, request_id: str, reader: str) -> bytes:
        """The payload for a service of this program, `reader` (such as `loadbalancer/<id>`): it is written down before
        the seal is broken. NotFound for a secret that is gone or empty."""
        secret = self.get(self._desk.db, secret_id)
        detail = self._desk.system("keymanager:get_payload", f"secret/{secret.id}", secret.project_id, request_id)
        with detail as change:
            change.detail["reader"] = reader
        return self._unseal(secret)

    # --- reading

    def get(self, reader: Reader, secret_id: str) -> Secret:
        """A secret that has not expired. NotFound."""
        secret = store.SECRETS.find(reader, id=secret_id)
        late = secret is not None and secret.expiration_us is not None
        if secret is None or (late and (secret.expiration_us or 0) <= self._desk.clock.now_us()):
            raise NotFound(f"there is no secret {secret_id}", "secret")
        return secret

    def page(self, asked: Listing) -> tuple[list[Secret], int]:
        """(a page, how many there are in all)."""
        asked.now_us = self._desk.clock.now_us()
        with self._desk.db.read() as tx:
            return store.page(tx, store.SECRETS, asked)

    def read(self, call: Call[Any], secret: Secret) -> bytes:
        """The payload for a caller who may have it: written down, then unsealed."""
        if secret.sealed is None:
            raise NotFound(f"secret {secret.id} has no payload yet; send it with PUT", "payload")
        with self._desk.change(call, f"secret/{secret.id}", secret.project_id):
            pass
        return self._unseal(secret)

    def _unseal(self, secret: Secret) -> bytes:
        if secret.sealed is None:
            raise NotFound(f"secret {secret.id} has no payload yet", "payload")
        with self._desk.db.read() as tx:
            key = self._vault.open(tx, secret.project_id, secret.id)
        try:
            bound = _bound(secret.id, secret.project_id)
            return AESGCM(key).decrypt(secret.sealed[:_IV], secret.sealed[_IV:], bound)
        except (InvalidTag, ValueError) as error:
            raise Fatal(f"secret {secret.id} does not open: its row was altered or moved", "damage") from error

    # --- changing

    def create(self, call: Call[Any], new: NewSecret) -> Secret:
        """A secret, with its payload or without."""
        with self._desk.change(call, reach=Reach.EVERYTHING) as change:
            secret = self.add(change, str(call.who.project_id), call.who.user_id, new)
            change.object, change.tenant = f"secret/{secret.id}", secret.project_id
        return secret

    def add(self, change: Change, project_id: str, creator_id: str, new: NewSecret) -> Secret:
        """The same within a change of reach EVERYTHING."""
        self._quotas.claim(change.tx, "secrets", project_id)
        if new.expiration_us is not None and new.expiration_us <= change.now_us:
            raise Invalid("the expiration lies in the past", "schema")
        secret_id = self._desk.ids.dashed()
        sealed = self._seal(change.tx, project_id, secret_id, new.payload[0]) if new.payload else None
        return store.SECRETS.insert(
            change.tx,
            Secret(
                secret_id, project_id, creator_id, new.name, new.secret_type, new.algorithm, new.bit_length, new.mode,
                new.payload[1] if new.payload else None, sealed, {}, change.now_us, change.now_us, new.expiration_us,
            ),
        )  # fmt: skip

    def _seal(self, tx: Tx, project_id: str, secret_id: str, payload: bytes) -> bytes:
        key = self._vault.make(tx, project_id, secret_id)
        iv = self._desk.ids.secret(_IV)
        return iv + AESGCM(key).encrypt(iv, payload, _bound(secret_id, project_id))

    def fill(self, call: Call[Any], secret_id: str, payload: tuple[bytes, str]) -> None:
        """The payload of a secret that has none."""
        with self._desk.change(call, f"secret/{secret_id}", reach=Reach.EVERYTHING) as change:
            secret = self.get(change.tx, secret_id)
            change.tenant = secret.project_id
            if secret.sealed is not None:
                raise Conflict(f"secret {secret_id} already has data, cannot modify it; make another", "payload")
            sealed = self._seal(change.tx, secret.project_id, secret_id, payload[0])
            store.SECRETS.update(
                change.tx, {"id": secret_id}, sealed=sealed, content_type=payload[1], updated_us=change.now_us
            )

    def remove(self, call: Call[Any], secret_id: str) -> None:
        """Destroy a secret: the wrapping of its key goes, so that what was sealed cannot come back."""
        with self._desk.change(call, f"secret/{secret_id}", reach=Reach.EVERYTHING) as change:
            change.tenant = self.get(change.tx, secret_id).project_id
            self.drop(change.tx, secret_id)

    def drop(self, tx: Tx, secret_id: str) -> None:
        """The same within a transaction of reach EVERYTHING."""
        self._vault.drop(tx, secret_id)
        store.SECRETS.remove(tx, id=secret_id)
        store.MEMBERS.remove(tx, secret_id=secret_id)
        store.CONSUMERS.remove(tx, owner_id=secret_id)
        store.drop_acl(tx, secret_id)

    def expire(self) -> bool:
        """Destroy secrets whose time is over; whether more are waiting."""
        late = store.expired(self._desk.db, self._desk.clock.now_us(), EXPIRED_AT_ONCE)
        for secret in late:
            with self._desk.system(
                "keymanager:expire_secret", f"secret/{secret.id}", secret.project_id, "", Reach.EVERYTHING
            ) as change:
                self.drop(change.tx, secret.id)
        return len(late) == EXPIRED_AT_ONCE

    # --- metadata and consumers

    def set_metadata(self, call: Call[Any], secret_id: str, change_of: Mapping[str, str | None], how: str) -> Secret:
        """Change a secret's metadata. `how`: `replace` everything, `add` (409 for a key that is there), `update` (404
        for one that is not) or `remove`."""
        with self._desk.change(call, f"secret/{secret_id}/metadata") as change:
            secret = self.get(change.tx, secret_id)
            change.tenant = secret.project_id
            for name in change_of if how != "replace" else ():
                if (name in secret.metadata) == (how == "add"):
                    if how == "add":
                        raise Conflict(f"secret {secret_id} has metadata {name!r} already", "metadata")
                    raise NotFound(f"secret {secret_id} has no metadata {name!r}", "metadata")
            kept = {} if how == "replace" else dict(secret.metadata)
            merged = {**kept, **change_of}
            metadata = {name: value for name, value in merged.items() if value is not None}
            if len(metadata) > 128:
                raise Invalid("a secret has at most 128 metadata keys", "metadata")
            store.SECRETS.update(change.tx, {"id": secret_id}, metadata=metadata, updated_us=change.now_us)
            return self.get(change.tx, secret_id)

    def consumers(self, owner_id: str) -> list[Consumer]:
        """Who told that they use a secret or container."""
        return store.CONSUMERS.select(self._desk.db, {"owner_id": owner_id})

    def add_consumer(self, call: Call[Any], owned: tuple[str, str], facts: dict[str, str]) -> None:
        """Remember a consumer of (id, project) of a secret or container; one that is known stays as it is."""
        owner_id, project_id = owned
        with self._desk.change(call, f"{owner_id}/consumers", project_id) as change:
            known = store.CONSUMERS.select(change.tx, {"owner_id": owner_id})
            if any(one.facts == facts for one in known):
                return
            self._quotas.claim(change.tx, "consumers", project_id)
            if len(known) >= 1000:
                raise Conflict(f"{owner_id} has 1000 consumers; remove some first", "consumer")
            row = Consumer(self._desk.ids.dashed(), owner_id, project_id, facts, change.now_us)
            store.CONSUMERS.insert(change.tx, row)

    def remove_consumer(self, call: Call[Any], owned: tuple[str, str], facts: dict[str, str]) -> None:
        """Forget a consumer. NotFound when it is not known."""
        owner_id, project_id = owned
        with self._desk.change(call, f"{owner_id}/consumers", project_id) as change:
            known = store.CONSUMERS.select(change.tx, {"owner_id": owner_id})
            found = next((one for one in known if one.facts == facts), None)
            if found is None:
                raise NotFound(f"{owner_id} has no consumer {facts}", "consumer")
            store.CONSUMERS.remove(change.tx, id=found.id)
