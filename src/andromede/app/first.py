"""An installation's beginning: schema, keys, first users, client files; and their recovery."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from andromede import audit
from andromede.app.base import PASSPHRASE, Base, certificates, migrations, root_key
from andromede.app.hosting import health
from andromede.app.ledger import log_key_file
from andromede.clock import SystemClock
from andromede.config import Config
from andromede.durable import sync_folder
from andromede.errors import Fatal
from andromede.ids import request_id
from andromede.ops import clientfiles, migration
from andromede.ops.clientfiles import AccessKey, Login, Places
from andromede.ops.layout import Layout

if TYPE_CHECKING:
    from andromede.identity.bootstrap import Secrets
    from andromede.sovereignty.logkeys import LogKeys


def initialise(config: Config) -> dict[str, Any]:
    """Bring schema, keys, first users, certificates and client files into being, where they are not yet.

    The result says whether the installation is `new`, who its first administrator is, and how it hosts.
    """
    from andromede.identity import bootstrap, recovery
    from andromede.identity import service as identity
    from andromede.keys import create_root, open_root
    from andromede.sovereignty.logkeys import LogKeys

    place, server = Layout(config.data), config.server
    ca = certificates(config)[2]
    done = migration.upgrade(place, config.database_dsn, migrations(), SystemClock())
    base = Base.open(config, "operator")
    for name in done.applied:
        base.log.event("schema.migrated", step=name)
    if done.snapshot:
        base.log.event("schema.snapshot", path=str(done.snapshot))
    audit.adopt(base.db, base.ids)
    _check_keys(base)
    if not root_key(config).exists():
        create_root(root_key(config), base.ids, os.environ.get(PASSPHRASE))
    else:
        open_root(root_key(config), os.environ.get(PASSPHRASE))  # a wrong pass phrase is said before anything runs
    if not log_key_file(config).exists():
        LogKeys.create(log_key_file(config), base.ids)
    else:
        _check_log_keys(base, LogKeys.open(log_key_file(config)))
    unfinished = place.run / "first-start"  # there while the first credentials exist but are not yet in their files
    core = identity.build(config, base.db, base.clock, base.ids, base.recorder).core
    if not bootstrap.done(core.db):
        unfinished.touch(0o600)
        sync_folder(place.run)
    secrets = bootstrap.bootstrap(core, server.region, request_id(base.ids))
    if secrets is None and unfinished.exists():
        secrets = recovery.recover(core, server.region, "system:bootstrap", request_id(base.ids))
    bootstrap.complete(core, server.region, request_id(base.ids), config.hosting.enabled == "on")
    base.db.close()
    places = Places(server.public_api_url, server.public_objects_url, server.region, ca)
    hosts = health.board(config)
    if secrets is None:
        snapshot = str(done.snapshot) if done.snapshot else None
        changed = clientfiles.refresh(place, places)
        told = {"new": False, "admin": None, "changed": changed, "applied": done.applied, "snapshot": snapshot}
        return {**told, "hosting": hosts}
    _write_clients(place, secrets, places)
    unfinished.unlink(missing_ok=True)
    sync_folder(place.run)  # back after a loss of power, it would change the credentials that were just handed out
    admin = {"user": "admin", "password": secrets.admin_password}
    return {"new": True, "admin": admin, "changed": [], "hosting": hosts}


def _check_keys(base: Base) -> None:
    """Refuse to make new keys where data was stored, or checkpoints were signed, under old ones."""
    from andromede.identity import bootstrap
    from andromede.keys import store
    from andromede.sovereignty import store as ledger

    folder = Layout(base.config.data).keys
    wanted = [folder / "credential"] if bootstrap.done(base.db) and not any(folder.glob("credential/[0-9]*")) else []
    wanted += [root_key(base.config)] if store.any_key(base.db) else []
    wanted += [log_key_file(base.config)] if ledger.any_signed(base.db) else []
    if missing := [str(path) for path in wanted if not path.is_file()]:
        raise Fatal(
            f"{' and '.join(missing)} is missing, and the database holds what was sealed or signed with it; "
            "put it back from a backup (andromede restore). Nothing was changed",
            "keys",
        )


def _check_log_keys(base: Base, keys: LogKeys) -> None:
    """Refuse keys other than those that signed here before: to everybody else what they sign would look forged."""
    from andromede.ledger.note import BadNote, open_note
    from andromede.sovereignty import store

    log = store.log(base.db, audit.INSTALLATION)
    newest = store.newest(base.db, log.origin) if log else None
    if log is None or newest is None or newest.note is None:
        return
    try:
        open_note(newest.note, keys.verifiers(log.origin))
    except BadNote as error:
        raise Fatal(
            f"{log_key_file(base.config)} holds other keys than those that signed the checkpoints of this "
            "installation; put the right ones back from a backup (andromede restore). Nothing was changed",
            "keys",
        ) from error


def _write_clients(place: Layout, secrets: Secrets, places: Places) -> None:
    logins = [
        Login("andromede-admin", "admin", "admin", secrets.admin_password),
        Login("andromede", "demo", "demo", secrets.demo_password),
    ]
    clientfiles.write_clouds(place, logins, places)
    clientfiles.write_s3(place, AccessKey(secrets.access_key, secrets.secret_key), places)


def recover(config: Config, places: Places, actor: str) -> None:
    """New first credentials in new client files."""
    from andromede.identity import recovery
    from andromede.identity import service as identity

    base = Base.open(config, "operator")
    core = identity.build(config, base.db, base.clock, base.ids, base.recorder).core
    secrets = recovery.recover(core, config.server.region, actor, request_id(base.ids))
    base.db.close()
    _write_clients(Layout(config.data), secrets, places)
