"""CORS per container, from `X-Container-Meta-Access-Control-*` (Fetch standard, CORS protocol)."""

from __future__ import annotations

from andromede.objects.model import Container
from andromede.web.stream.message import Request, Response

_ALWAYS = (
    "cache-control",
    "content-language",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
    "etag",
    "x-timestamp",
    "x-trans-id",
    "x-openstack-request-id",
)
_PREFIXED = ("x-container-meta", "x-object-meta")


def allowed_origin(container: Container | None, origin: str) -> str | None:
    """What `Access-Control-Allow-Origin` says to this origin; None: nothing."""
    listed = container.metadata.get("access-control-allow-origin", "").split() if container is not None else []
    if "*" in listed:
        return "*"
    return origin if origin in listed else None


def decorate(request: Request, response: Response, container: Container | None) -> None:
    """Add the headers of a plain cross-origin answer."""
    origin = request.headers.get("origin")
    if not origin:
        return
    allowed = allowed_origin(container, origin)
    if allowed is None:
        return
    extra = container.metadata.get("access-control-expose-headers", "").split() if container is not None else []
    own = [name.lower() for name, _ in response.headers if name.lower().startswith(_PREFIXED)]
    exposed = dict.fromkeys([*_ALWAYS, *own, *(name.strip(",").lower() for name in extra)])
    response.headers.append(("Access-Control-Allow-Origin", allowed.encode("latin-1", "replace")))
    response.headers.append(("Access-Control-Expose-Headers", ", ".join(exposed).encode("latin-1", "replace")))
    if allowed != "*":
        response.headers.append(("Vary", "Origin"))


def preflight(request: Request, container: Container | None, methods: list[str]) -> Response:
    """The answer to OPTIONS: 200 with what is allowed, 401 to an origin that is not."""
    allow = ", ".join(methods)
    origin = request.headers.get("origin")
    if not origin:
        return Response(200, [("Allow", allow), ("Content-Type", "text/html; charset=UTF-8")])
    allowed = allowed_origin(container, origin)
    method = request.headers.get("access-control-request-method") or ""
    if allowed is None or method.upper() not in methods or container is None:
        return Response(401, [("Allow", allow), ("Content-Type", "text/html; charset=UTF-8")])
    headers: list[tuple[str, str | bytes]] = [
        ("Access-Control-Allow-Origin", allowed.encode("latin-1", "replace")),
        ("Access-Control-Allow-Methods", allow),
        ("Allow", allow),
        ("Content-Type", "text/html; charset=UTF-8"),
        ("Vary", "Origin, Access-Control-Request-Headers" if allowed != "*" else "Access-Control-Request-Headers"),
    ]
    if (age := container.metadata.get("access-control-max-age")) is not None:
        headers.append(("Access-Control-Max-Age", age.encode("latin-1", "replace")))
    wanted = ", ".join(
        part.strip() for part in (request.headers.get("access-control-request-headers") or "").split(",")
    )
    if wanted:
        headers.append(("Access-Control-Allow-Headers", wanted.encode("latin-1", "replace")))
    return Response(200, headers)
