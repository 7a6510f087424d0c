"""Authentication and authorization of the API port's requests, on the access table."""

from __future__ import annotations

from typing import Any

from andromede.errors import Denied
from andromede.identity.authenticator import Authenticator
from andromede.identity.core import Core
from andromede.web.access import AccessTable
from andromede.web.actor import Actor
from andromede.web.call import Call
from andromede.web.routes import Target


class IdentityGuard:
    """The `Guard` of the API port."""

    def __init__(self, authenticator: Authenticator, core: Core, tables: tuple[AccessTable, ...]) -> None:
        self._authenticator = authenticator
        self._core = core
        self._rules = AccessTable({action: grants for table in tables for action, grants in table.rules.items()})

    def authenticate(self, call: Call[Any], service_type: str) -> Actor | None:
        token = call.headers.get("x-auth-token")
        if not token:
            return None
        actor = self._authenticator.token(token)
        if not actor.covers(service_type, call.method, call.path):
            raise Denied(
                f"The application credential's access rules do not cover {call.method} {call.path}.", "access_rules"
            )
        return actor

    def admit(self, call: Call[Any]) -> None:
        if not self._rules.admits(call.who, call.action):
            self._refuse(call)

    def authorize(self, call: Call[Any], target: Target) -> None:
        if not self._rules.allows(call.who, call.action, target):
            self._refuse(call)

    def _refuse(self, call: Call[Any]) -> None:
        self._core.denied(call, call.path)
        raise Denied(f"You are not authorized to perform the requested action: {call.action}.", "policy")
