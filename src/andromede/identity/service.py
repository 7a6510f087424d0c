"""The identity domain's door for other domains and for the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from andromede.audit import Recorder
from andromede.clock import Clock
from andromede.config import Config
from andromede.db import Database
from andromede.identity.auth import Tokens
from andromede.identity.authenticator import Authenticator
from andromede.identity.catalog import Catalog, Documents
from andromede.identity.core import Core, credential_keys, token_keys, urls_of
from andromede.identity.credentials import Credentials, rotate_keys
from andromede.identity.delegations import AppCredentials, Trusts
from andromede.identity.guard import IdentityGuard
from andromede.identity.limits import UnifiedLimits
from andromede.identity.login import Limits, Login
from andromede.identity.model import Project, User
from andromede.identity.passwords import Passwords
from andromede.identity.policy import TABLE
from andromede.identity.projects import Projects
from andromede.identity.roles import Roles
from andromede.identity.schema import MIGRATIONS
from andromede.identity.users import Groups, Users
from andromede.ids import Ids
from andromede.web.access import AccessTable
from andromede.web.limiter import RateLimiter

__all__ = [
    "MIGRATIONS",
    "TABLE",
    "Authenticator",
    "Identity",
    "IdentityGuard",
    "Project",
    "User",
    "authenticator",
    "build",
    "rotate_keys",
]


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts of the service, as route handlers see them."""

    core: Core
    login: Login
    tokens: Tokens
    projects: Projects
    users: Users
    groups: Groups
    roles: Roles
    credentials: Credentials
    app_credentials: AppCredentials
    trusts: Trusts
    catalog: Catalog
    documents: Documents
    limits: UnifiedLimits

    def guard(self, *tables: AccessTable) -> IdentityGuard:
        """The guard of the API port; `tables` are the access rules of other services."""
        return IdentityGuard(self.core.authenticator, self.core, (TABLE, *tables))


def authenticator(db: Database, data: Path, clock: Clock) -> Authenticator:
    """Tokens and access keys to actors, for a process that serves no identity routes."""
    return Authenticator(db, token_keys(data), credential_keys(data), clock)


def build(config: Config, db: Database, clock: Clock, ids: Ids, recorder: Recorder) -> Identity:
    """The identity service of one process."""
    core = Core(
        db=db,
        clock=clock,
        ids=ids,
        recorder=recorder,
        settings=config.identity,
        tokens=token_keys(config.data),
        vault=credential_keys(config.data),
        passwords=Passwords(ids),
        authenticator=authenticator(db, config.data, clock),
        urls=urls_of(config),
    )
    brakes = Limits(RateLimiter(clock, 100.0, 1000), RateLimiter(clock, 10.0, 100), RateLimiter(clock, 20.0, 200))
    login = Login(core, brakes)
    return Identity(
        core,
        login,
        tokens=Tokens(core, login),
        projects=Projects(core),
        users=Users(core, login),
        groups=Groups(core),
        roles=Roles(core),
        credentials=Credentials(core),
        app_credentials=AppCredentials(core),
        trusts=Trusts(core),
        catalog=Catalog(core),
        documents=Documents(core),
        limits=UnifiedLimits(core),
    )
