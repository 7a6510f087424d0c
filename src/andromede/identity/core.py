"""What every part of the identity service shares: the database, time, ids, keys, settings, and the one way
to change anything (row, epoch and audit event in one transaction)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from andromede.audit import Recorder
from andromede.audit.answers import begun, draft, own_log
from andromede.clock import Clock
from andromede.config import Config, Identity
from andromede.db import Database, Tx
from andromede.identity import principals_store
from andromede.identity.authenticator import Authenticator
from andromede.identity.keyring import KeyRing
from andromede.identity.passwords import Passwords
from andromede.ids import Ids
from andromede.web.call import Call

HOSTED: tuple[tuple[str, str, str], ...] = (
    ("compute", "nova", "{api}/compute/v2.1"),
    ("image", "glance", "{api}/image"),
    ("placement", "placement", "{api}/placement"),
    ("key-manager", "barbican", "{api}/key-manager"),
    ("load-balancer", "octavia", "{api}/load-balancer"),
    ("network", "neutron", "{api}/network"),
    ("block-storage", "cinder", "{api}/volume/v3/%(project_id)s"),
    ("volumev3", "cinderv3", "{api}/volume/v3/%(project_id)s"),
)
"""(type, name, URL) of the services that join the catalog once the installation hosts; shown only while it does."""


NEEDS = {"load-balancer": "haproxy"}
"""Service type -> the program without which this machine does not offer it, and the catalog does not show it."""


def lacking() -> frozenset[str]:
    """Service types whose program is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return frozenset(kind for kind, program in NEEDS.items() if shutil.which(program, path=path) is None)


@dataclass(frozen=True, slots=True)
class Urls:
    """Where this installation's ports are, for the catalog; moving a port changes no row."""

    api: str
    objects: str
    hosts: bool = False
    """Whether services of hosting are shown."""
    hidden: frozenset[str] = frozenset()
    """Service types that are not shown even then."""

    def fill(self, template: str) -> str:
        """An endpoint's URL with {api} and {objects} replaced."""
        return template.replace("{api}", self.api).replace("{objects}", self.objects)


def urls_of(config: Config) -> Urls:
    """The public URLs, or those of the listeners."""
    scheme = "https" if config.server.tls else "http"
    return Urls(
        (config.server.public_api_url or f"{scheme}://{config.server.listen}").rstrip("/"),
        (config.server.public_objects_url or f"{scheme}://{config.server.objects}").rstrip("/"),
        config.hosting.enabled == "on",
        lacking(),
    )


def token_keys(data: Path) -> KeyRing:
    """The keys of tokens and receipts of a data directory."""
    return KeyRing(data / "keys" / "fernet")


def credential_keys(data: Path) -> KeyRing:
    """The keys under which EC2 and TOTP secrets are stored."""
    return KeyRing(data / "keys" / "credential")


@dataclass(slots=True)
class Change:
    """A mutation under way. `tenant` is the project concerned, "" when none is; `object` what is touched."""

    tx: Tx
    object: str = ""
    tenant: str = ""
    detail: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Core:
    """Shared by all parts; immutable."""

    db: Database
    clock: Clock
    ids: Ids
    recorder: Recorder
    settings: Identity
    tokens: KeyRing
    vault: KeyRing
    passwords: Passwords
    authenticator: Authenticator
    urls: Urls

    @contextmanager
    def change(self, call: Call[Any], object: str = "", tenant: str = "") -> Iterator[Change]:
        """One transaction that ends with a new epoch and one audit event; nothing of it stays when it raises."""
        with self.db.write() as tx:
            change = Change(tx, object, tenant)
            yield change
            principals_store.raise_epoch(tx)
            log = change.tenant if _is_project(tx, change.tenant) else own_log(call)
            self.recorder.record(tx, [draft(call, change.object, log, detail=change.detail)])

    def denied(self, call: Call[Any], object: str) -> None:
        """Leave the event of a refused call."""
        with self.db.write() as tx:
            self.recorder.record(tx, [draft(call, object, own_log(call), outcome="denied")])


def _is_project(tx: Tx, tenant: str) -> bool:
    """Whether this names a project, now or before this change: an event must not begin a log for nobody."""
    return bool(tenant) and (
        begun(tx, tenant) or principals_store.PROJECTS.find(tx, id=tenant, is_domain=False) is not None
    )
