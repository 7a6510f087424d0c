"""The short way for what most requests are: GET, HEAD and PUT of a small plain object, signed in the header.

It answers only what it answers exactly as the long way does (`door.S3Door`), asks the same signature check,
evaluator and core, and leaves the same event. At the first thing that is not plain (a header or document with a
meaning of its own, another kind of object, a refusal) it returns None with nothing done, and the long way begins
from the start; so errors, and everything rare, have one home. A test sends generated requests both ways.
docs/decisions/0015 says what it buys.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from andromede.errors import Error
from andromede.objects import trail
from andromede.objects.access import AccessRequest
from andromede.objects.access.ownership import upload_owner
from andromede.objects.intake import SMALL
from andromede.objects.model import NO_CONDITIONS, Container, Kind, Trace, Version
from andromede.objects.s3 import attributes, digest, sigv4
from andromede.objects.s3.place import KEY_BYTES, host_name
from andromede.objects.s3.writing import DEFAULT_CHECKSUM, made_headers, opaque
from andromede.web.stream.message import Commit, Request, Response

if TYPE_CHECKING:
    from andromede.objects.context import Context
    from andromede.objects.s3.auth import Authentication
    from andromede.web.actor import Actor

_PATH = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
_SAID = frozenset(("host", "user-agent", "accept", "accept-encoding", "accept-language", "connection", "date")) | {
    *("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-user-agent"),
    *("amz-sdk-invocation-id", "amz-sdk-request", "content-type", "content-length"),
}
"""Headers that change nothing in the answer but by who is signed in and how long the body is."""
_SAID_OF_READ = _SAID | {"x-amz-checksum-mode"}
_SAID_OF_PUT = _SAID | {"expect", "x-amz-sdk-checksum-algorithm", *digest.HEADER.values()}
_SAID_OF = {"GET": _SAID_OF_READ, "HEAD": _SAID_OF_READ, "PUT": _SAID_OF_PUT}
_INDIFFERENT = frozenset(("acl", "cors", "logging", "ownership", "public_access_block", "tagging", "website"))
"""Documents of a bucket that say nothing to its owner's members who read or write, without an Origin."""
_UNSAID: dict[str, str] = {}


class Express:
    """One per process, for the loop's thread."""

    def __init__(self, context: Context, authentication: Authentication) -> None:
        settings = context.config.objects
        self._context = context
        self._authentication = authentication
        self._objects = context.objects
        self._hosts = tuple("." + name.lower() for name in (*settings.s3_domains, *settings.website_domains))

    def answer(self, request: Request) -> Response | Commit[Any] | None:
        """The whole answer, or None with nothing done."""
        said = _SAID_OF.get(request.method)
        if said is None or request.query or not request.headers.only(said):
            return None
        path = request.path
        if path.translate(None, _PATH):
            return None
        if self._hosts and host_name(request).endswith(self._hosts):
            return None
        bucket, _, key = path.decode("ascii")[1:].partition("/")
        if not bucket or not key or len(key) > KEY_BYTES:
            return None
        try:
            return self._answer(request, bucket, key)
        except Error:
            return None

    def _answer(self, request: Request, bucket: str, key: str) -> Response | Commit[Any] | None:
        admitted = self._admitted(request)
        if admitted is None:
            return None
        actor, payload = admitted
        container = self._objects.bucket(bucket, actor.project_id)
        if container.lock_enabled or not _INDIFFERENT.issuperset(container.documents):
            return None
        if request.method == "PUT":
            return self._put(request, actor, container, key, payload)
        return self._read(request, actor, container, key, payload)

    def _admitted(self, request: Request) -> tuple[Actor, str] | None:
        """Whose signature the header bears, and the payload hash that it covers. Raises `Error` as the long way."""
        authorization = request.headers.first.get("authorization")
        if authorization is None or not authorization.startswith(b"AWS4-HMAC-SHA256 "):
            return None
        claimed = sigv4.from_header(request, authorization.decode("latin-1"))
        self._authentication.check_scope(claimed.scope, "auth_header")
        sigv4.check_time(claimed, self._context.clock.now_us())
        secret, actor = self._authentication.known(claimed.scope.access_key, request.peer)
        sigv4.verify(request, claimed, secret)
        return actor, claimed.payload

    def _read(
        self, request: Request, actor: Actor, container: Container, key: str, payload: str
    ) -> Response | Commit[Any] | None:
        if payload not in (sigv4.UNSIGNED, sigv4.EMPTY_SHA256) or request.body.length:
            return None
        version = self._objects.head(container, key)
        if not _plain(version):
            return None
        asked = AccessRequest(actor, "s3:GetObject", container, key, version, _UNSAID)
        if not self._context.evaluator.allowed(asked).allowed:
            return None
        pairs = attributes.described(request.request_id, container, version)
        if request.headers.first.get("x-amz-checksum-mode", b"").upper() == b"ENABLED":
            pairs += attributes.checksum_headers(version.checksum)
        body = b""
        if request.method == "GET" and version.size:
            found = self._objects.read_small(container, version)
            if found is None:
                return None
            body = found
        trace = Trace(actor, "s3:GetObject", request.request_id)
        draft = trail.read_event(container, trace, trail.label(container, key, version.shown_id))
        return trail.answered(self._objects, draft, Response(200, pairs, body, length=version.size))

    def _put(
        self, request: Request, actor: Actor, container: Container, key: str, payload: str
    ) -> Commit[Version] | None:
        headers, size = request.headers, request.body.length
        if not size or size > SMALL or "content-length" not in headers.first:
            return None
        asked = AccessRequest(actor, "s3:PutObject", container, key, None, _UNSAID)
        if not self._context.evaluator.allowed(asked).allowed:
            return None
        data = request.body.peek()
        if data is None or not _covers(payload, data):
            return None
        claim = digest.NOTHING if headers.only(_SAID) else digest.claimed(headers)
        algorithm = claim.algorithm or DEFAULT_CHECKSUM
        stored = self._objects.receive_small(container, data, algorithm, opaque(container))
        if claim.value is not None:
            digest.compare(algorithm, claim.value, stored.checksums[algorithm])
        owner = upload_owner(container, actor, None)
        about = attributes.plain(headers.get("content-type") or attributes.DEFAULT_TYPE)
        trace = Trace(actor, "s3:PutObject", request.request_id, owner_id=owner)
        step = self._objects.put(container, key, stored, about, NO_CONDITIONS, trace)
        return step.then(lambda version: Response(200, made_headers(request.request_id, container, version)))


def _plain(version: Version) -> bool:
    """Whether a read of this version says nothing but its attributes and bytes."""
    about = version.attributes
    return (
        about.kind is Kind.DATA
        and not version.parts
        and not about.settings
        and about.lock.mode is None
        and not about.lock.legal_hold
        and about.encryption.mode == "default"
        and about.storage_class == "STANDARD"
    )


def _covers(payload: str, data: bytes) -> bool:
    """Whether the payload hash that was signed is that of these bytes, or none was signed."""
    if payload == sigv4.UNSIGNED:
        return True
    return hmac.compare_digest(payload.encode("latin-1", "replace"), hashlib.sha256(data).hexdigest().encode())
