"""Who sent this: finds the kind of signature, checks it, and says how the body is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from andromede.errors import Denied, Invalid, Unauthenticated
from andromede.objects.s3 import kinds, sigv2, sigv4
from andromede.objects.s3.chunked import ChunkedBody, ChunkSigner, HashedBody
from andromede.objects.s3.proof import Proof
from andromede.web.limiter import RateLimiter, caller
from andromede.web.stream.message import Headers, Request

if TYPE_CHECKING:
    from andromede.objects.context import Context
    from andromede.objects.s3.call import S3Call
    from andromede.web.actor import Actor

FAILURES_A_SECOND, FAILURES_AT_ONCE = 10.0, 100
_STREAMS = (sigv4.SIGNED_CHUNKS, sigv4.SIGNED_TRAILER, sigv4.UNSIGNED_TRAILER)
_HEX = frozenset("0123456789abcdef")


class Authentication:
    """Checks signatures. One per process."""

    def __init__(self, context: Context) -> None:
        self._auth = context.auth
        self._regions = frozenset(("", context.config.server.region, "us-east-1"))
        self._home = context.config.server.region
        self._sigv2 = context.config.objects.s3_sigv2
        self._failures = RateLimiter(context.clock, FAILURES_A_SECOND, FAILURES_AT_ONCE)

    def admit(self, call: S3Call) -> None:
        """Set `call.actor` and `call.proof`. Raises `Denied` or `Invalid`; no signature at all: anonymous."""
        request, query = call.request, call.query
        authorization = request.headers.get("authorization")
        if authorization is not None:
            if query and ("X-Amz-Signature" in query or "Signature" in query):
                raise Invalid("only one auth mechanism allowed: header or query, not both", "invalid_argument")
            self._by_header(call, authorization)
        elif query and _is_presigned(query):
            self._by_query(call)
        elif query and "Signature" in query and "AWSAccessKeyId" in query:
            self._need_sigv2()
            self._by_sigv2(call, sigv2.from_query(request, query, call.now_us))
        else:
            call.proof = anonymous(request)
            return
        if call.kinds & kinds.TOKEN or (query and "X-Amz-Security-Token" in query):
            raise Invalid("the security token is not one of this installation; use long-lived keys", "token")

    def identify(self, access_key: str, peer: str) -> tuple[str, Actor]:
        """Secret and actor of an access key. Raises `Denied` (InvalidAccessKeyId), or `OverQuota` after too many
        wrong signatures by this key from the address: a right guess must not shine through."""
        try:
            return self.known(access_key, peer)
        except Unauthenticated as unknown:
            self._failures.take(caller(peer))
            raise Denied(
                "the access key id you provided does not exist in our records, or has expired",
                "access_key",
                fields={"AWSAccessKeyId": access_key},
            ) from unknown

    def known(self, access_key: str, peer: str) -> tuple[str, Actor]:
        """The same without counting an unknown key: raises `Unauthenticated`, or `OverQuota`."""
        if self._failures:
            self._failures.check(f"{caller(peer)} {access_key}")
        return self._auth.ec2(access_key)

    def missed(self, access_key: str, peer: str) -> None:
        """Count a signature that does not match."""
        self._failures.failed(f"{caller(peer)} {access_key}")

    def check_scope(self, scope: sigv4.Scope, reason: str) -> None:
        """Raises `Invalid` for another service or region."""
        if scope.service != "s3":
            raise Invalid(f"the credential scope names the service {scope.service!r} instead of 's3'", reason)
        if scope.region not in self._regions:
            raise Invalid(
                f"the region {scope.region!r} is wrong; expecting {self._home!r}",
                reason,
                fields={"Region": self._home},
            )

    def _by_header(self, call: S3Call, authorization: str) -> None:
        request = call.request
        if authorization.startswith(sigv4.ALGORITHM + " "):
            claimed = sigv4.from_header(request, authorization)
            self._by_sigv4(call, claimed, "header")
        elif authorization.startswith("AWS "):
            self._need_sigv2()
            self._by_sigv2(call, sigv2.from_header(request, authorization, call.now_us))
        elif not authorization:
            raise Denied("the Authorization header is empty; sign the request or leave the header out", "access")
        else:
            raise Invalid("unsupported authorization type; sign with AWS4-HMAC-SHA256", "invalid_argument")

    def _by_query(self, call: S3Call) -> None:
        claimed = sigv4.from_query(call.request, call.query)
        self._by_sigv4(call, claimed, "query")
        hoisted = [
            (name.lower(), value)
            for name, value in call.query.items()
            if name[:6].lower() == "x-amz-" and name.lower() not in _AUTH_PARAMETERS
        ]
        if hoisted:
            extra = Headers.of(*((name, value.encode()) for name, value in hoisted if name not in call.headers))
            kept = Headers.of(*((name.decode("latin-1"), value) for name, value in (*call.headers.raw, *extra.raw)))
            call.adopt(kept)

    def _by_sigv4(self, call: S3Call, claimed: sigv4.Claimed, kind: str) -> None:
        request = call.request
        self.check_scope(claimed.scope, "auth_header" if kind == "header" else "auth_query")
        sigv4.check_time(claimed, call.now_us)
        access_key = claimed.scope.access_key
        secret, actor = self.identify(access_key, request.peer)
        try:
            key = sigv4.verify(request, claimed, secret)
        except Denied as wrong:
            if wrong.reason == "signature":
                self.missed(access_key, request.peer)
            raise
        call.actor = actor
        call.proof = Proof(kind, sigv4.ALGORITHM, claimed.scope.access_key)
        _dress(call.proof, request, claimed, key)

    def _by_sigv2(self, call: S3Call, claimed: sigv2.Claimed) -> None:
        secret, actor = self.identify(claimed.access_key, call.request.peer)
        try:
            sigv2.verify(call.request, call.place, claimed, secret)
        except Denied:
            self.missed(claimed.access_key, call.request.peer)
            raise
        call.actor = actor
        call.proof = Proof("query" if claimed.expires is not None else "header", "AWS", claimed.access_key)

    def _need_sigv2(self) -> None:
        if not self._sigv2:
            raise Invalid(
                "the authorization mechanism you have provided is not supported; please use AWS4-HMAC-SHA256",
                "invalid_request",
            )


_AUTH_PARAMETERS = frozenset(
    (
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-content-sha256",
    )
)


def _is_presigned(query: Mapping[str, str]) -> bool:
    if "X-Amz-Signature" in query or "X-Amz-Algorithm" in query:
        return True
    return any(name.lower() in ("x-amz-signature", "x-amz-algorithm") for name in query)


def _dress(proof: Proof, request: Request, claimed: sigv4.Claimed, key: bytes) -> None:
    """Choose the reader of the body from the signed payload hash."""
    payload = claimed.payload
    if len(payload) == 64 and _HEX.issuperset(payload):
        if request.body.length != 0:
            proof.opener = lambda asked: HashedBody(asked, payload)
        elif payload != sigv4.EMPTY_SHA256:
            raise Invalid("the provided x-amz-content-sha256 header does not match an empty body", "content_sha256")
    elif payload in _STREAMS:
        length = proof.decoded_length = _need_decoded_length(request)
        signer = ChunkSigner(key, claimed) if payload != sigv4.UNSIGNED_TRAILER else None
        trailer = payload != sigv4.SIGNED_CHUNKS
        proof.opener = lambda asked: ChunkedBody(asked, length, signer, trailer)
    elif payload != sigv4.UNSIGNED:
        raise Invalid(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING-... form, or the hex SHA-256 of the body",
            "invalid_argument",
        )


def anonymous(request: Request) -> Proof:
    """Nobody's request: its body may still be aws-chunked without signatures."""
    proof = Proof()
    if request.headers.get("x-amz-content-sha256") == sigv4.UNSIGNED_TRAILER:
        length = proof.decoded_length = _need_decoded_length(request)
        proof.opener = lambda asked: ChunkedBody(asked, length, None, True)
    return proof


def _need_decoded_length(request: Request) -> int:
    text = request.headers.get("x-amz-decoded-content-length")
    if text is None or not text.isdigit() or not text.isascii() or len(text) > 15:
        raise Invalid("an aws-chunked body needs x-amz-decoded-content-length, a number of bytes", "length")
    return int(text)
