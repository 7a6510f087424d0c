"""The first administrator, roles, projects and catalog of an installation."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from itertools import pairwise

from andromede.audit import Draft
from andromede.db import Database, Tx
from andromede.identity import catalog_store, credentials_store, principals_store, roles_store
from andromede.identity.core import HOSTED, Core
from andromede.identity.model import (
    Assignment,
    Credential,
    Endpoint,
    Password,
    Project,
    Region,
    Role,
    Service,
    User,
)
from andromede.ids import base32

CHAIN = ("admin", "manager", "member", "reader")
"""Each implies the next."""
ROLES = (*CHAIN, "service", "auditor", "operator", "custodian", "ResellerAdmin")
CATALOG = (
    ("identity", "keystone", "{api}/identity/v3"),
    ("object-store", "swift", "{objects}/v1/AUTH_%(project_id)s"),
    ("object-store-s3", "s3", "{objects}"),
    ("sovereignty", "andromede", "{api}/sovereignty/v1"),
)
LATER = ("sovereignty",)
"""Types that joined the catalog after the first release: installations made before get them once."""
DOMAIN = "default"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the administrator must be told once: the contents of `clouds.yaml` and `s3.env`."""

    admin_password: str
    demo_password: str
    access_key: str
    secret_key: str
    demo_project_id: str
    region: str

    def clouds(self, auth_url: str, cacert: str = "") -> dict[str, object]:
        """The document of `clouds.yaml` for an identity URL such as `http://127.0.0.1:8700/identity/v3`."""

        def cloud(user: str, password: str) -> dict[str, object]:
            auth = {
                "auth_url": auth_url,
                "username": user,
                "password": password,
                "project_name": user,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            }
            extra = {"cacert": cacert} if cacert else {}
            return {"auth": auth, "region_name": self.region, "identity_api_version": "3", **extra}

        return {
            "clouds": {
                "andromede-admin": cloud("admin", self.admin_password),
                "andromede": cloud("demo", self.demo_password),
            }
        }

    def s3(self, endpoint: str) -> dict[str, str]:
        """The variables of `s3.env`."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": self.region,
        }


def done(db: Database) -> bool:
    """Whether the installation has its domain and first users."""
    return principals_store.PROJECTS.find(db, id=DOMAIN) is not None


def bootstrap(core: Core, region: str, request_id: str) -> Secrets | None:
    """Make keys, domain, projects, users, roles and catalog in one transaction; None when they exist already.
    The key files come first: rows without keys would be useless, keys without rows are harmless."""
    core.tokens.create(core.ids)
    core.vault.create(core.ids)
    if principals_store.PROJECTS.find(core.db, id=DOMAIN):
        return None
    first, second = new_password(core), new_password(core)
    hashes = core.passwords.hash(first), core.passwords.hash(second)
    with core.db.write() as tx:
        if principals_store.PROJECTS.find(tx, id=DOMAIN):
            return None
        _roles(core, tx)
        projects = _projects(core, tx)
        admin, demo = (_user(core, tx, name, hashed) for name, hashed in zip(("admin", "demo"), hashes, strict=True))
        _assign(tx, admin, demo, projects)
        access, secret = add_ec2(core, tx, demo, projects["demo"])
        _catalog(core, tx, region)
        principals_store.raise_epoch(tx)
        event = Draft("", "system:bootstrap", "identity:bootstrap", "domain:default", request_id,
                      purpose="OPERATOR_SYSTEM")  # fmt: skip
        core.recorder.record(tx, [event])
    return Secrets(first, second, access, secret, projects["demo"], region)


def complete(core: Core, region: str, request_id: str, hosts: bool = False) -> list[str]:
    """Enter into the catalog, once, what an older program did not offer, and what hosting offers where this
    installation `hosts`; the types. What an administrator then removes stays removed."""
    made = []
    later = (*LATER, *(kind for kind, _, _ in HOSTED))
    with core.db.write() as tx:
        for kind, name, url in (*CATALOG, *(HOSTED if hosts else ())):
            first = kind in later and tx.take(f"identity/catalog/{kind}") == 1
            if first and not catalog_store.SERVICES.find(tx, type=kind):
                _offer(core, tx, (kind, name, url), region)
                made.append(kind)
        if made:
            principals_store.raise_epoch(tx)
            event = Draft("", "system:bootstrap", "identity:create_service", f"catalog:{','.join(made)}", request_id,
                          purpose="OPERATOR_SYSTEM")  # fmt: skip
            core.recorder.record(tx, [event])
    return made


def new_password(core: Core) -> str:
    """32 characters, 192 bits; none that a command line would take for an option."""
    while (made := base64.urlsafe_b64encode(core.ids.secret(24)).decode()).startswith("-"):
        pass
    return made


def _roles(core: Core, tx: Tx) -> None:
    by_name = {name: roles_store.ROLES.insert(tx, Role(core.ids.hex(), name)).id for name in ROLES}
    for prior, implied in pairwise(CHAIN):
        roles_store.imply(tx, by_name[prior], by_name[implied])


def _projects(core: Core, tx: Tx) -> dict[str, str]:
    table = principals_store.PROJECTS
    table.insert(tx, Project(DOMAIN, "Default", "", is_domain=True, description="The default domain"))
    made = {}
    for name, text in (("admin", "Administration"), ("service", "Service users"), ("demo", "A first project")):
        made[name] = table.insert(tx, Project(core.ids.hex(), name, DOMAIN, DOMAIN, description=text)).id
    return made


def _user(core: Core, tx: Tx, name: str, hashed: str) -> str:
    user = principals_store.USERS.insert(tx, User(core.ids.hex(), name, DOMAIN))
    number = tx.take("identity/password")
    principals_store.add_password(tx, Password(number, user.id, hashed, core.clock.now_us(), by_admin=True))
    return user.id


def _assign(tx: Tx, admin: str, demo: str, projects: dict[str, str]) -> None:
    ids = {role.name: role.id for role in roles_store.ROLES.select(tx)}
    for kind, target in (("project", projects["admin"]), ("domain", DOMAIN), ("system", roles_store.SYSTEM)):
        roles_store.grant(tx, Assignment("user", admin, kind, target, ids["admin"]))
    roles_store.grant(tx, Assignment("user", demo, "project", projects["demo"], ids["member"]))


def new_pair(core: Core) -> tuple[str, str]:
    """(access key of 20, secret key of 40 characters), the lengths that S3 clients expect."""
    access = base32(core.ids.secret(13))[:20]
    secret = base64.b64encode(core.ids.secret(30)).decode().translate(str.maketrans("+/", "AZ"))
    return access, secret


def add_ec2(core: Core, tx: Tx, user_id: str, project_id: str) -> tuple[str, str]:
    """A new S3 credential of a user in a project: (access key, secret key)."""
    access, secret = new_pair(core)
    blob = core.vault.encrypt(json.dumps({"access": access, "secret": secret}).encode(), core.clock.now_us())
    credential = Credential(core.ids.hex(), user_id, "ec2", blob, project_id=project_id, access=access)
    credentials_store.CREDENTIALS.insert(tx, credential)
    return access, secret


def _catalog(core: Core, tx: Tx, region: str) -> None:
    for entry in CATALOG:
        _offer(core, tx, entry, region)


def _offer(core: Core, tx: Tx, entry: tuple[str, str, str], region: str) -> None:
    kind, name, url = entry
    if catalog_store.REGIONS.find(tx, id=region) is None:
        catalog_store.REGIONS.insert(tx, Region(region))
    service = catalog_store.SERVICES.insert(tx, Service(core.ids.hex(), kind, name))
    for interface in ("public", "internal", "admin"):
        catalog_store.ENDPOINTS.insert(tx, Endpoint(core.ids.hex(), service.id, interface, url, region))
