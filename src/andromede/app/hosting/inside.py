"""One service's API as another one's neighbour calls it: the same handlers and rules, without the port between."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from andromede.errors import Denied, NotFound
from andromede.web import bodies
from andromede.web.call import Call, Query, Reply
from andromede.web.routes import Target

if TYPE_CHECKING:
    from andromede.web.access import AccessTable
    from andromede.web.api import Mount


class Inside:
    """A service under its caller's rights. The answer is the handler's; its errors are raised."""

    def __init__(self, mount: Callable[[], Mount], table: AccessTable, media_type: str = "application/json") -> None:
        self._make = mount
        self._table = table
        self._media_type = media_type
        self._made: Mount | None = None

    def __call__(
        self, call: Call[Any], method: str, path: str, body: Any = None, query: Sequence[tuple[str, str]] = ()
    ) -> Any:
        """Ask. Raises what the service raises, `NotFound` for what it does not have, `Denied`."""
        mount = self._made = self._made or self._make()
        segments = [part for part in path.split("/") if part]
        found = mount.routes.find(segments)
        version = mount.microversions.high if mount.microversions else None
        routes = found[0].get(method, []) if found else []
        route = next((route for route in routes if route.serves(version)), None)
        if found is None or route is None:
            raise NotFound(f"{mount.type} has no {method} {path}", "route")
        base = call.base.rpartition("/")[0] + mount.prefix
        inner: Call[Any] = dataclasses.replace(
            call, method=method, path="/" + "/".join(segments), params=dict(zip(route.names(), found[1], strict=True)),
            query=Query(tuple(query)), body=b"" if body is None else json.dumps(body).encode(), json=body,
            headers={**call.headers, "content-type": self._media_type}, base=base,
            url=base + path, services=mount.services, action=route.action, microversion=version,
        )  # fmt: skip
        if not self._table.admits(call.who, route.action):
            raise Denied(f"You are not authorized to perform the requested action: {route.action}.", "policy")
        value = bodies.convert(body, route.body) if route.body is not None else None
        target = (route.target(inner, value) if route.target else None) or Target()
        if not self._table.allows(call.who, route.action, target):
            raise Denied(f"You are not authorized to perform the requested action: {route.action}.", "policy")
        result = route.handler(inner, value) if route.body is not None else route.handler(inner)
        return result.body if isinstance(result, Reply) else result
