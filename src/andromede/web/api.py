"""The API port without its server: from a whole request to a whole answer, synchronously.

Order: route, microversion, credential, coarse access, body, access to the target, handler. A caller
without any right to an action learns nothing about bodies or objects.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from andromede.clock import Clock
from andromede.errors import Denied, Error, Invalid, NotFound, TooLarge, Unauthenticated
from andromede.ids import Ids, request_id
from andromede.log import Log
from andromede.web import bodies
from andromede.web.actor import Actor
from andromede.web.call import Call, HttpRequest, HttpResponse, Query, Reply, rendered
from andromede.web.dialect import Dialect
from andromede.web.metrics import Metrics
from andromede.web.microversions import Microversions, Version
from andromede.web.routes import Route, Routes, Target

_HOST = re.compile(r"[A-Za-z0-9.\-_]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
BODYLESS = frozenset({204, 205, 304})


class Guard(Protocol):
    """Authentication and authorization, provided by the identity domain."""

    def authenticate(self, call: Call[Any], service_type: str) -> Actor | None:
        """The caller of a request, None without a credential. Raises `Unauthenticated` for a bad one and
        `Denied` when its access rules do not cover the request."""

    def admit(self, call: Call[Any]) -> None:
        """Raise `Denied` when the caller may not perform the action on any target."""

    def authorize(self, call: Call[Any], target: Target) -> None:
        """Raise `Denied` when the caller may not perform the action on this target."""


class Ledger(Protocol):
    """Where calls leave their events, provided by the audit domain. Mutations leave theirs in the transaction of
    the change; the port sees to all others."""

    def settle(self, call: Call[Any], target: Target) -> None:
        """Leave the event of a call that succeeds, unless it left one. Raises `Unavailable`: no answer without."""

    def refused(self, call: Call[Any]) -> None:
        """The same for one that is refused."""

    def place(self, request_id: str) -> tuple[str, str] | None:
        """The header that names the place of the request's first event, once it is durable."""


def never(call: Call[Any]) -> bool:
    """Of a service whose every call touches data of somebody."""
    return False


@dataclass(frozen=True, slots=True)
class Mount:
    """One service under a prefix of the port. `type` is its catalog type, for access rules. `untouched` tells
    the calls that touch no data of a tenant and need no event."""

    prefix: str
    type: str
    routes: Routes[Any]
    services: Any
    dialect: Dialect
    microversions: Microversions | None = None
    max_body: int = 1 << 20
    untouched: Callable[[Call[Any]], bool] = never
    request_header: str = ""
    """Another header that carries the request's id."""
    exact: bool = False
    """Whether a path below the version that ends in a slash names nothing."""


@dataclass(slots=True)
class Parts:
    """What the port is built from. `ready` returns the reasons why it is not; `about` what `GET /` tells besides the
    services, of a URL without path: the versions of identity, for clients that were given no more than the port."""

    mounts: Sequence[Mount]
    guard: Guard
    clock: Clock
    ids: Ids
    log: Log
    public_url: str = ""
    ready: Callable[[], list[str]] = list
    about: Callable[[str], dict[str, Any]] = lambda origin: {}
    metrics: Metrics = field(default_factory=Metrics)
    version: str = ""
    ledger: Ledger | None = None


@dataclass(slots=True)
class _Request:
    """A request on its way: the parts that are known so far."""

    http: HttpRequest
    id: str
    origin: str
    mount: Mount | None = None
    version: Version | None = None

    @property
    def base(self) -> str:
        return self.origin + (self.mount.prefix if self.mount else "")


class Api:
    """Routes requests. Safe to call from many threads."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._mounts = sorted(parts.mounts, key=lambda mount: -len(mount.prefix))
        self._places = [(mount.prefix.encode(), f"{mount.prefix}/".encode(), mount) for mount in self._mounts]
        self._plain = Dialect("andromede")
        every = [(mount, route) for mount in self._mounts for route in mount.routes]
        self._slow = {(mount.prefix, route.method) for mount, route in every if route.slow}
        self._streamed = {(mount.prefix, route.method) for mount, route in every if route.stream}
        for _, route in every:
            if route.body is not None:
                bodies.learn(route.body)

    def max_body(self, path: bytes) -> int:
        """The limit for bodies sent to a raw path, in bytes."""
        mount = self._mount(path)
        return mount.max_body if mount else 1 << 20

    def is_slow(self, method: str, path: bytes) -> bool:
        """Whether the operation at a raw path belongs on the threads for slow ones."""
        return any(route.slow for route in self._at(method, path, self._slow))

    def is_streamed(self, method: str, path: bytes) -> bool:
        """Whether the operation at a raw path takes its body as it comes, or answers in pieces."""
        return any(route.stream for route in self._at(method, path, self._streamed))

    def _at(self, method: str, path: bytes, having: set[tuple[str, str]]) -> Sequence[Route]:
        """The routes at a path, unless the service has none of the kind by this method: on the loop, for each request
        of every service, so that most cost a look at their prefix."""
        mount = self._mount(path)
        if mount is None or (mount.prefix, method) not in having:
            return ()
        try:
            found = mount.routes.find(bodies.path_segments(path[len(mount.prefix) :]))
        except Invalid:
            return ()
        return found[0].get(method, ()) if found is not None else ()

    def handle(self, http: HttpRequest) -> HttpResponse:
        """Answer a request; never raises."""
        start = self.parts.clock.monotonic()
        request = _Request(http, request_id(self.parts.ids), self._origin(http))
        request.mount = self._mount(http.path)
        try:
            response = self._answer(request)
        except Error as error:
            response = self._error(request, error)
        except Exception as error:  # the last resort: a 500 with a request id and an alert
            self.parts.log.alert("request.crash", request_id=request.id, error=repr(error), path=repr(http.path))
            crash = Error(f"The server made a mistake; tell the operator the request id {request.id}.")
            response = self._error(request, crash)
        if request.mount and request.mount.microversions and request.version:
            response.headers += request.mount.microversions.echo(request.version)
        response.headers.append(("X-Openstack-Request-Id", request.id))
        if request.mount and request.mount.request_header:
            response.headers.append((request.mount.request_header, request.id))
        place = self.parts.ledger.place(request.id) if self.parts.ledger else None
        if place is not None and all(name != place[0] for name, _ in response.headers):
            response.headers.append(place)
        seconds = self.parts.clock.monotonic() - start
        service = request.mount.type if request.mount else "root"
        self.parts.metrics.observe(service, http.method, response.status, seconds)
        return response

    def _origin(self, http: HttpRequest) -> str:
        if self.parts.public_url:
            return self.parts.public_url.rstrip("/")
        host = http.headers.get("host", "")
        return f"{http.scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"

    def _mount(self, path: bytes) -> Mount | None:
        for prefix, below, mount in self._places:
            if path == prefix or path.startswith(below):
                return mount
        return None

    def _error(self, request: _Request, error: Error) -> HttpResponse:
        dialect = request.mount.dialect if request.mount else self._plain
        status, headers, body = dialect.render(error, request.base + "/v3", request.id)
        if error.kind == "fatal" or error.reason in ("database", "disk"):
            self.parts.log.alert("storage.failed", request_id=request.id, text=error.public, cause=error.cause)
        elif error.cause or status >= 500:
            self.parts.log.event(
                "request.error", "warning", request_id=request.id, kind=error.kind, cause=error.cause, status=status
            )
        return HttpResponse(status, body, headers)

    def _answer(self, request: _Request) -> HttpResponse:
        if request.http.oversized:
            raise TooLarge("the request body is larger than this interface accepts", "body")
        if request.mount is None:
            return self._own(request)
        query = bodies.query(request.http.query)
        segments = bodies.path_segments(request.http.path[len(request.mount.prefix) :])
        if request.mount.microversions:
            request.version = request.mount.microversions.negotiate(request.http.headers)
        if request.mount.exact and len(segments) > 1 and request.http.path.endswith(b"/"):
            raise NotFound(f"/{'/'.join(segments)}/ names nothing", "route")
        route, values = self._route(request, segments)
        call = self._call(request, route, query, "/" + "/".join(segments))
        call.params = dict(zip(route.names(), values, strict=True))
        try:
            result = self._handled(call, route, request.mount)
        except (Denied, Unauthenticated):
            if self.parts.ledger is not None and (route.public or call.actor is not None):
                self.parts.ledger.refused(call)
            raise
        return self._render(request, route, result)

    def _handled(self, call: Call[Any], route: Route, mount: Mount) -> Any:
        """What the handler returns, its event left."""
        self._check(call, route, mount)
        body = bodies.convert(call.json, route.body) if route.body is not None else None
        target = Target()
        if not route.public:
            target = (route.target(call, body) if route.target else None) or target
            self.parts.guard.authorize(call, target)
        result = route.handler(call, body) if route.body is not None else route.handler(call)
        if self.parts.ledger is not None and not route.public and not mount.untouched(call):
            self.parts.ledger.settle(call, target)
        return result

    def _route(self, request: _Request, segments: list[str]) -> tuple[Route, list[str]]:
        assert request.mount is not None
        path = request.http.path.decode("ascii", "backslashreplace")
        found = request.mount.routes.find(segments)
        if found is None:
            raise NotFound(f"there is nothing at {path}", "route")
        methods, values = found
        method = request.http.method
        if method == "HEAD" and "HEAD" not in methods:
            method = "GET"
        if method not in methods:
            allow = ", ".join(sorted({*methods, *({"HEAD"} if "GET" in methods else set())}))
            raise Invalid(f"{method} is not possible on {path}", "method", headers=[("Allow", allow)])
        route = next((route for route in methods[method] if route.serves(request.version)), None)
        if route is None:
            raise NotFound(f"{path} does not exist at this microversion", "route")
        return route, values

    def _call(self, request: _Request, route: Route, query: Query, path: str) -> Call[Any]:
        http, mount = request.http, request.mount
        assert mount is not None
        raw_query = http.query.decode("ascii", "backslashreplace")
        url = request.origin + http.path.decode("ascii", "backslashreplace") + (f"?{raw_query}" if raw_query else "")
        return Call(
            method=http.method, path=path, params={}, query=query, headers=http.headers, body=http.body,
            request_id=request.id, base=request.base, url=url, peer=http.peer, services=mount.services,
            action=route.action, microversion=request.version,
            stream=(http.stream or io.BytesIO(http.body)) if route.stream else None,
        )  # fmt: skip

    def _check(self, call: Call[Any], route: Route, mount: Mount) -> None:
        if not route.public:
            call.actor = self.parts.guard.authenticate(call, mount.type)
            if call.actor is None:
                raise Unauthenticated("The request you have made requires authentication.", "token")
            self.parts.guard.admit(call)
        if route.body is not None:
            call.json = bodies.parse(call.body)

    def _render(self, request: _Request, route: Route, result: Any) -> HttpResponse:
        reply = result if isinstance(result, Reply) else Reply(result)
        status = reply.status if reply.status is not None else route.status
        headers = list(reply.headers)
        if reply.pieces is not None:
            headers = [("Content-Type", reply.media_type), *headers]
            return HttpResponse(status, b"", headers, reply.pieces, reply.length)
        if status in BODYLESS or reply.body is None:
            return HttpResponse(status, b"", headers)
        raw = reply.body if isinstance(reply.body, bytes) else rendered(reply.body)
        return HttpResponse(status, raw, [("Content-Type", reply.media_type), *headers])

    def _own(self, request: _Request) -> HttpResponse:
        """The port's own pages, outside every service."""
        path = request.http.path.rstrip(b"/") or b"/"
        if path not in (b"/", b"/healthz", b"/readyz", b"/metrics"):
            raise NotFound("there is nothing here; GET / lists the services", "route")
        if request.http.method not in ("GET", "HEAD"):
            raise Invalid("only GET is possible here", "method", headers=[("Allow", "GET, HEAD")])
        if path == b"/healthz":
            return _text(200, "ok\n")
        if path == b"/readyz":
            reasons = self.parts.ready()
            return _text(503 if reasons else 200, "\n".join(reasons or ["ready"]) + "\n")
        if path == b"/metrics":
            return _text(200, self.parts.metrics.render(), "text/plain; version=0.0.4; charset=utf-8")
        services = [{"type": mount.type, "url": request.origin + mount.prefix} for mount in self.parts.mounts]
        own = {"name": "andromede", "release": self.parts.version, "services": services}
        body = own | self.parts.about(request.origin)
        return HttpResponse(200, json.dumps(body).encode(), [("Content-Type", "application/json")])


def _text(status: int, body: str, media_type: str = "text/plain; charset=utf-8") -> HttpResponse:
    return HttpResponse(status, body.encode(), [("Content-Type", media_type)])


def with_mount(parts: Parts, mount: Mount) -> Parts:
    """The parts with one more service."""
    return replace(parts, mounts=[*parts.mounts, mount])


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Header fields by lower-case name; repeated fields are joined by commas (RFC 9110 5.3)."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
