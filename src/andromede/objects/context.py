"""What both doors of the object port stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from andromede.clock import Clock
from andromede.config import Config
from andromede.ids import Ids
from andromede.log import Log
from andromede.objects.access.evaluator import Evaluator
from andromede.objects.directory import Directory
from andromede.objects.service import Objects
from andromede.web.actor import Actor


class Authenticator(Protocol):
    """What the doors ask of identity (`identity.service.Authenticator`)."""

    def token(self, token: str) -> Actor:
        """The actor of a Keystone token. Raises `Unauthenticated` reason `token`."""

    def ec2(self, access_key: str) -> tuple[str, Actor]:
        """The secret of an access key and its actor. Raises `Unauthenticated` reason `access_key`."""

    def project(self, project_id: str) -> Any: ...

    def project_by_name(self, name: str, domain_id: str = "default") -> Any: ...

    def user_by_email(self, email: str) -> Any: ...


class IdentityDirectory:
    """`Directory` over the identity service."""

    def __init__(self, auth: Authenticator) -> None:
        self._auth = auth

    def project_name(self, project_id: str) -> str | None:
        project = self._auth.project(project_id)
        return None if project is None else project.name

    def project_of_email(self, email: str) -> str | None:
        user = self._auth.user_by_email(email)
        return None if user is None else user.default_project_id


@dataclass(frozen=True, slots=True)
class Context:
    """Built once per process by the composition root."""

    objects: Objects
    auth: Authenticator
    evaluator: Evaluator
    config: Config
    clock: Clock
    ids: Ids
    log: Log
    directory: Directory
