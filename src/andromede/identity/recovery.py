"""New first credentials, for an operator whose client files are lost."""

from __future__ import annotations

from andromede.audit import Draft
from andromede.errors import NotFound
from andromede.identity import bootstrap, principals_store
from andromede.identity.bootstrap import DOMAIN, Secrets
from andromede.identity.core import Core
from andromede.identity.model import Password, User


def recover(core: Core, region: str, actor: str, request_id: str) -> Secrets:
    """New passwords for `admin` and `demo`, who are enabled and unlocked, and one more S3 credential in project
    `demo`. Raises `NotFound` when one of them was removed."""
    users = {name: _user(core, name) for name in ("admin", "demo")}
    project = principals_store.PROJECTS.find(core.db, name="demo", domain_id=DOMAIN, is_domain=False)
    if project is None:
        raise NotFound("there is no project demo any more", "project")
    secrets = {name: bootstrap.new_password(core) for name in users}
    hashes = {name: core.passwords.hash(secret) for name, secret in secrets.items()}
    with core.db.write() as tx:
        for name, user in users.items():
            number = tx.take("identity/password")
            password = Password(number, user.id, hashes[name], core.clock.now_us(), by_admin=True)
            principals_store.add_password(tx, password)
            principals_store.USERS.update(tx, {"id": user.id}, enabled=True, failures=0)
        access, secret = bootstrap.add_ec2(core, tx, users["demo"].id, project.id)
        principals_store.raise_epoch(tx)
        event = Draft("", actor, "identity:recover", "user:admin", request_id, purpose="OPERATOR_INCIDENT")
        core.recorder.record(tx, [event])
    return Secrets(secrets["admin"], secrets["demo"], access, secret, project.id, region)


def _user(core: Core, name: str) -> User:
    found = principals_store.USERS.find(core.db, name=name, domain_id=DOMAIN)
    if found is None:
        raise NotFound(f"there is no user {name} any more; log in as another administrator", "user")
    return found
