"""Rules of registered limits and of a project's or domain's own (Identity API v3, "Unified Limits", model flat)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.db import Tx
from andromede.errors import Conflict, Denied, Invalid
from andromede.identity import catalog_store, principals_store
from andromede.identity.bodies import LimitFields, RegisteredLimitFields
from andromede.identity.common import found, given, required
from andromede.identity.core import Core
from andromede.identity.model import Limit, RegisteredLimit
from andromede.web.call import Call

LIMITS = catalog_store.LIMITS
REGISTERED = catalog_store.REGISTERED


class UnifiedLimits:
    """Defaults per service, region and resource, and exceptions from them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def registered(self, limit_id: str) -> RegisteredLimit:
        """A registered limit."""
        return found(REGISTERED.find(self._core.db, id=limit_id), "registered limit", limit_id)

    def limit(self, limit_id: str) -> Limit:
        """A limit."""
        return found(LIMITS.find(self._core.db, id=limit_id), "limit", limit_id)

    def register(self, call: Call[Any], many: list[RegisteredLimitFields]) -> list[RegisteredLimit]:
        """Create defaults, all or none."""
        made = []
        with self._core.change(call, "registered_limits") as change:
            for fields in many:
                values = given(fields)
                required(values, "service_id", "resource_name", "default_limit")
                one = RegisteredLimit(self._core.ids.hex(), **values)
                self._place(change.tx, one)
                made.append(REGISTERED.insert(change.tx, one))
        return made

    @staticmethod
    def _place(tx: Tx, one: RegisteredLimit) -> None:
        if catalog_store.SERVICES.find(tx, id=one.service_id) is None:
            raise Invalid(f"service {one.service_id!r} does not exist", "service")
        if one.region_id is not None and catalog_store.REGIONS.find(tx, id=one.region_id) is None:
            raise Invalid(f"region {one.region_id!r} does not exist", "region")
        same = REGISTERED.find(tx, service_id=one.service_id, region_id=one.region_id, resource_name=one.resource_name)
        if same is not None and same.id != one.id:
            raise Conflict(f"There is a registered limit for {one.resource_name} already.", "registered_limit")

    def update_registered(self, call: Call[Any], limit_id: str, fields: RegisteredLimitFields) -> RegisteredLimit:
        """Change a default that no exception leans on, or only its amount and description."""
        values = given(fields)
        with self._core.change(call, f"registered_limit:{limit_id}") as change:
            old = found(REGISTERED.find(change.tx, id=limit_id), "registered limit", limit_id)
            moved = any(values.get(n, getattr(old, n)) != getattr(old, n)
                        for n in ("service_id", "region_id", "resource_name"))  # fmt: skip
            if moved and self._leaning(change.tx, old):
                raise Denied(f"Unable to update registered limit {limit_id} because there are limits on it.", "in_use")
            self._place(change.tx, replace(old, **values))
            REGISTERED.update(change.tx, {"id": limit_id}, **values)
        return self.registered(limit_id)

    @staticmethod
    def _leaning(tx: Tx, one: RegisteredLimit) -> list[Limit]:
        where = {"service_id": one.service_id, "region_id": one.region_id, "resource_name": one.resource_name}
        return LIMITS.select(tx, where)

    def unregister(self, call: Call[Any], limit_id: str) -> None:
        """Delete a default that no exception leans on."""
        with self._core.change(call, f"registered_limit:{limit_id}") as change:
            old = found(REGISTERED.find(change.tx, id=limit_id), "registered limit", limit_id)
            if self._leaning(change.tx, old):
                raise Denied(f"Unable to delete registered limit {limit_id} because there are limits on it.", "in_use")
            REGISTERED.remove(change.tx, id=limit_id)

    def create(self, call: Call[Any], many: list[LimitFields]) -> list[Limit]:
        """Create exceptions, all or none."""
        made = []
        with self._core.change(call, "limits") as change:
            for fields in many:
                values = given(fields)
                required(values, "service_id", "resource_name", "resource_limit")
                one = Limit(self._core.ids.hex(), **values)
                self._fits(change.tx, one)
                made.append(LIMITS.insert(change.tx, one))
        return made

    @staticmethod
    def _fits(tx: Tx, one: Limit) -> None:
        if (one.project_id is None) == (one.domain_id is None):
            raise Invalid("a limit needs either project_id or domain_id", "schema")
        owner = one.project_id or one.domain_id or ""
        found(principals_store.PROJECTS.find(tx, id=owner), "project", owner)
        key = {"service_id": one.service_id, "region_id": one.region_id, "resource_name": one.resource_name}
        if REGISTERED.find(tx, **key) is None:
            raise Denied(f"There is no registered limit for {one.resource_name}.", "registered_limit")
        if LIMITS.find(tx, **key, project_id=one.project_id, domain_id=one.domain_id):
            raise Conflict(f"There is a limit for {one.resource_name} already.", "limit")

    def update(self, call: Call[Any], limit_id: str, fields: LimitFields) -> Limit:
        """Change amount or description."""
        values = {name: value for name, value in given(fields).items() if name in ("resource_limit", "description")}
        with self._core.change(call, f"limit:{limit_id}") as change:
            old = found(LIMITS.find(change.tx, id=limit_id), "limit", limit_id)
            change.tenant = old.project_id or ""
            LIMITS.update(change.tx, {"id": limit_id}, **values)
        return self.limit(limit_id)

    def remove(self, call: Call[Any], limit_id: str) -> None:
        """Delete an exception."""
        with self._core.change(call, f"limit:{limit_id}") as change:
            if not LIMITS.remove(change.tx, id=limit_id):
                found(None, "limit", limit_id)
