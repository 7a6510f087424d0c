"""Orders: keys that the key manager makes by itself. They are made while the client waits, which for RSA keys of
4096 bits takes a second or so; the answer tells the order, which is ACTIVE by then."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from andromede.audit.changes import Change, Desk
from andromede.db import Reach
from andromede.db.table import Reader
from andromede.errors import Invalid, NotFound
from andromede.keymanager import store
from andromede.keymanager.containers import Containers
from andromede.keymanager.model import Order
from andromede.keymanager.payloads import OCTETS, TEXT
from andromede.keymanager.quotas import Quotas
from andromede.keymanager.secrets import NewSecret, Secrets
from andromede.keymanager.store import Listing
from andromede.web.call import Call

SYMMETRIC: dict[str, tuple[int, ...]] = {
    "aes": (128, 192, 256),
    "des": (56, 64),
    "desede": (56, 64, 112, 128, 168, 192),
    **{f"hmac{name}": tuple(range(64, 4097, 8)) for name in ("sha1", "sha256", "sha384", "sha512")},
}
"""Algorithm -> the lengths in bits that may be ordered."""
RSA_BITS = (2048, 3072, 4096)


class Orders:
    """What the routes do with orders."""

    def __init__(self, desk: Desk, secrets: Secrets, containers: Containers, quotas: Quotas) -> None:
        self._desk = desk
        self._secrets = secrets
        self._containers = containers
        self._quotas = quotas

    def get(self, reader: Reader, order_id: str) -> Order:
        """An order. NotFound."""
        found = store.ORDERS.find(reader, id=order_id)
        if found is None:
            raise NotFound(f"there is no order {order_id}", "order")
        return found

    def page(self, asked: Listing) -> tuple[list[Order], int]:
        """(a page, how many there are in all)."""
        with self._desk.db.read() as tx:
            return store.page(tx, store.ORDERS, asked)

    def create(
        self, call: Call[Any], kind: str, meta: dict[str, Any], new: NewSecret, passphrase: str | None = None
    ) -> Order:
        """A key as `new` describes it; `meta` is what the client sent, without the pass phrase for a private key."""
        _check(kind, new)
        parts = _rsa(new, passphrase) if kind == "asymmetric" else [("", self._symmetric(new))]
        owner = str(call.who.project_id), call.who.user_id
        with self._desk.change(call, reach=Reach.EVERYTHING) as change:
            self._quotas.claim(change.tx, "orders", owner[0])
            order_id = self._desk.ids.dashed()
            change.object, change.tenant = f"order/{order_id}", owner[0]
            secret_id, container_id = self._keep(change, owner, new.name, parts)
            now = change.now_us
            order = Order(order_id, *owner, kind, meta, secret_id, container_id, now, now)
            return store.ORDERS.insert(change.tx, order)

    def _keep(
        self, change: Change, owner: tuple[str, str], name: str | None, parts: list[tuple[str, NewSecret]]
    ) -> tuple[str | None, str | None]:
        """Store what was made: (secret, container), one of them None."""
        made = [(label, self._secrets.add(change, *owner, new).id) for label, new in parts]
        if made[0][0] == "":
            return made[0][1], None
        return None, self._containers.add(change, owner, name, "rsa", made).id

    def _symmetric(self, new: NewSecret) -> NewSecret:
        key = self._desk.ids.secret(((new.bit_length or 0) + 7) // 8)
        return NewSecret(
            new.name, "symmetric", new.algorithm, new.bit_length, new.mode, new.expiration_us, (key, OCTETS)
        )

    def remove(self, call: Call[Any], order_id: str) -> None:
        """Forget an order; what it made stays."""
        with self._desk.change(call, f"order/{order_id}") as change:
            change.tenant = self.get(change.tx, order_id).project_id
            store.ORDERS.remove(change.tx, id=order_id)


def _check(kind: str, new: NewSecret) -> None:
    if kind not in ("key", "asymmetric"):
        raise Invalid(f"an order of type {kind!r} is not possible; the types are key and asymmetric", "schema")
    name, bits = (new.algorithm or "").lower(), new.bit_length
    known = SYMMETRIC if kind == "key" else {"rsa": RSA_BITS}
    if name not in known or bits not in known[name]:
        offers = "; ".join(f"{each} of {sizes[0]} to {sizes[-1]} bits" for each, sizes in known.items())
        raise Invalid(
            f"a {kind} order of {new.algorithm} with {bits} bits is not possible; there are {offers}", "algorithm"
        )


def _rsa(new: NewSecret, passphrase: str | None) -> list[tuple[str, NewSecret]]:
    """The parts of an RSA key pair: PKCS #8, sealed by the pass phrase if there is one, and SubjectPublicKeyInfo, both
    in DER; and the pass phrase."""
    key = rsa.generate_private_key(65537, new.bit_length or 0)
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        lock = serialization.BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, lock)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts = [("private_key", "private", (private, OCTETS)), ("public_key", "public", (public, OCTETS))]
    if passphrase:
        parts.append(("private_key_passphrase", "passphrase", (passphrase.encode(), TEXT)))
    return [
        (label, NewSecret(new.name, kind, new.algorithm, new.bit_length, new.mode, new.expiration_us, payload))
        for label, kind, payload in parts
    ]
