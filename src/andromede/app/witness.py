"""The witness that every installation is, the thread that asks other witnesses, and the witness that stands alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from andromede.app.base import Base
from andromede.app.ledger import ledger_logs
from andromede.clock import Clock, SystemClock
from andromede.config import Config
from andromede.db import Database, migrate, open_database
from andromede.errors import Error
from andromede.ids import Ids, RandomIds
from andromede.log import Log
from andromede.ops.layout import Layout

if TYPE_CHECKING:
    import socket

    from andromede.sovereignty.witness_keys import WitnessKeys
    from andromede.sovereignty.witness_routes import Identity
    from andromede.web.api import Mount


def witness_key_file(place: Layout) -> Path:
    """The file of a witness's keys."""
    return place.keys / "witness.json"


def witness_database(place: Layout) -> Path:
    """The memory of a witness that stands alone; an installation's witness remembers in its database."""
    return place.data / "witness.db"


def identity(base: Base) -> Identity:
    """Who this installation is, for others who want to cosign its logs."""
    from andromede.audit import INSTALLATION
    from andromede.sovereignty.witness_routes import NOBODY, Identity

    logs = ledger_logs(base)
    own = logs.log(INSTALLATION)
    if own is None:
        return NOBODY
    install = own.origin.partition("/")[0]
    return Identity(install, install + "/", tuple(map(str, logs.verifiers(own.origin))))


def witness_keys(base: Base) -> WitnessKeys:
    """The keys of the installation's witness, made when they are first wanted."""
    from andromede.sovereignty import witness_keys as keys

    install = identity(base).install or Layout(base.config.data).require()["id"]
    path = witness_key_file(Layout(base.config.data))
    return keys.ensure(path, f"{install}/witness", base.db, base.ids, base.clock.now_us())


def witness_mounts(base: Base) -> list[Mount]:
    """The routes of the installation's witness. Without its keys or memory it does not cosign, and says so."""
    from andromede.sovereignty.witness_routes import NOBODY, Served, mounts
    from andromede.sovereignty.witness_server import WitnessServer

    try:
        server = WitnessServer(base.db, witness_keys(base), base.clock)
    except Error as error:
        base.log.alert("witness.keys", cause=error.public)
        return []
    known: list[Identity] = []

    def asked() -> Identity:
        if not known and (found := identity(base)).install:
            known.append(found)
        return known[0] if known else NOBODY

    return mounts(Served(server, asked))


def witness_state(config: Config, db: Database) -> dict[str, Any]:
    """Who cosigns, how fresh that is, what may not be signed; for `status`."""
    from andromede.sovereignty.witness_status import overview

    return overview(db, SystemClock().now_us(), config.ledger.private_witnesses)


@dataclass(frozen=True, slots=True)
class Alone:
    """A witness without an installation."""

    db: Database
    clock: Clock
    ids: Ids
    log: Log

    @classmethod
    def open(cls, place: Layout) -> Alone:
        """Its memory, made when it is not there."""
        from andromede.sovereignty.witness_schema import MIGRATIONS

        db = open_database(f"sqlite:///{witness_database(place).absolute()}")
        migrate(db, MIGRATIONS)
        return cls(db, SystemClock(), RandomIds(), Log(role="witness"))


class _Nobody:
    """The guard of a port whose routes are all public."""

    def authenticate(self, call: Any, service_type: str) -> None:
        return None

    def admit(self, call: Any) -> None:
        return None

    def authorize(self, call: Any, target: Any) -> None:
        return None


def serve_witness(alone: Alone, keys: WitnessKeys, where: tuple[socket.socket, tuple[str, str], str],
                  ready: Callable[[], None]) -> None:  # fmt: skip
    """Answer until told to stop; `where`: listener, files of certificate and key, URL that clients are told."""
    from andromede import __version__
    from andromede.app.serving import serve
    from andromede.sovereignty.witness_routes import NOBODY, Served, mounts
    from andromede.sovereignty.witness_server import WitnessServer
    from andromede.web.api import Parts
    from andromede.web.asgi import build_api

    listener, tls, url = where
    served = Served(WitnessServer(alone.db, keys, alone.clock), lambda: NOBODY)
    parts = Parts(
        mounts=mounts(served), guard=_Nobody(), clock=alone.clock, ids=alone.ids, log=alone.log, public_url=url,
        version=__version__,
    )  # fmt: skip
    serve(build_api(parts), listener, tls, ready)
    alone.db.close()
