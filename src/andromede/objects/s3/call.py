"""One S3 request on its way through a handler: who asks, for what, and how to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from andromede.errors import Denied, Invalid, TooLarge
from andromede.objects import trail
from andromede.objects.access import AccessRequest
from andromede.objects.access.evaluator import refusal
from andromede.objects.commit import Footprint
from andromede.objects.model import Container, Trace, Version
from andromede.objects.s3 import digest
from andromede.objects.s3.conditions import ConditionKeys, Value
from andromede.objects.s3.kinds import identified, kinds_of
from andromede.objects.s3.xml import Node, document, parse
from andromede.web.actor import Actor
from andromede.web.stream.message import Headers, Response

if TYPE_CHECKING:
    from andromede.objects.context import Context
    from andromede.objects.s3.auth import Authentication
    from andromede.objects.s3.operations import Operation
    from andromede.objects.s3.place import Place
    from andromede.objects.s3.proof import Proof
    from andromede.objects.service import Objects, Step
    from andromede.web.stream.message import Request

T = TypeVar("T")
XML_LIMIT = 1 << 20


class S3Call:
    """A request with its parts looked up once.

    `query`: decoded parameters. `container`: the bucket, present whenever the operation `opens` it (use
    `bucket`, which is never None). `kinds`: which kinds of header there are. `key`: None for operations on
    buckets. `proof`: how the caller proved itself and how the body is signed. `footprint`: where the
    first event of this request's own commits lies. `outcome`: what the event of a read says. `owner_id`: the
    project that will own what this request uploads, once its ACL headers were read.
    """

    __slots__ = (
        "_conditions",
        "actor",
        "authentication",
        "container",
        "context",
        "footprint",
        "headers",
        "key",
        "kinds",
        "now_us",
        "objects",
        "operation",
        "outcome",
        "owner_id",
        "place",
        "proof",
        "query",
        "request",
        "version",
    )

    def __init__(self, context: Context, request: Request, place: Place, query: Mapping[str, str]) -> None:
        self.context = context
        self.objects: Objects = context.objects
        self.request = request
        self.headers = request.headers
        self.kinds = kinds_of(request.headers)
        self.place = place
        self.query = query
        self.key = place.key
        self.now_us = context.clock.now_us()
        self.actor: Actor | None = None
        self.container: Container | None = None
        self.version: Version | None = None
        self.footprint = Footprint()
        self.outcome = "success"
        self.owner_id: str | None = None
        self._conditions: Mapping[str, Value] | None = None
        self.operation: Operation
        self.proof: Proof
        self.authentication: Authentication

    # --- what was asked
    @property
    def bucket(self) -> Container:
        """The bucket of the request."""
        assert self.container is not None, "the operation does not open its bucket"
        return self.container

    @property
    def name(self) -> str:
        """The key of the request."""
        assert self.key is not None, "the operation has no key"
        return self.key

    @property
    def project_id(self) -> str:
        """The caller's project. Raises `Denied` for anonymous callers and credentials without a project."""
        if self.actor is None or self.actor.project_id is None:
            raise Denied("this operation needs a credential with a project", "access")
        return self.actor.project_id

    def adopt(self, headers: Headers) -> None:
        """Take other headers for the request's own: fields of a form, parameters of a presigned URL."""
        self.headers = headers
        self.kinds = kinds_of(headers)

    def header(self, name: str) -> str | None:
        """A header of the S3 door by lower-case name: a signed form's field counts as one."""
        return self.headers.get(name)

    @property
    def version_id(self) -> str | None:
        """`?versionId=`; an empty one is refused."""
        found = self.query.get("versionId")
        if found == "":
            raise Invalid("the version id is empty; leave it out to mean the current version", "invalid_argument")
        return found

    # --- who may
    def access(
        self,
        action: str | None = None,
        *,
        container: Container | None = None,
        key: str | None = None,
        version: Version | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> AccessRequest:
        """The question to the evaluator. Without arguments: this operation on its own bucket and key."""
        own = container is None
        context = self.conditions()
        return AccessRequest(
            actor=self.actor,
            action=action or self.operation.action,
            container=container or self.bucket,
            key=self.key if own and key is None else key,
            version=version,
            context={**context, **extra} if extra else context,
            narrowing=None,
        )

    def allowed(self, action: str | None = None, **about: Any) -> bool:
        """Whether the caller may do `action` (arguments as `access`)."""
        return self.context.evaluator.allowed(self.access(action, **about)).allowed

    def require(self, action: str | None = None, **about: Any) -> None:
        """Raises `Denied` unless the caller may do `action` (arguments as `access`)."""
        self.context.evaluator.require(self.access(action, **about))

    def refusal(self, action: str, **about: Any) -> Denied:
        """The refusal of `action` on what is not there, word by word as on what is."""
        asked = self.access(action, **about)
        return refusal(asked, self.context.evaluator.allowed(asked))

    def conditions(self) -> Mapping[str, Value]:
        """Condition keys of the request for policies (IAM reference, "Condition keys for Amazon S3")."""
        if self._conditions is None:
            self._conditions = ConditionKeys(self)
        return self._conditions

    def trace(self, action: str | None = None) -> Trace:
        """Who does what, for the audit event."""
        return Trace(self.actor, action or self.operation.action, self.request.request_id, owner_id=self.owner_id)

    def label(self) -> str:
        """The object of the audit event: `bucket`, `bucket/key` or `bucket/key?v=<id>`."""
        bucket = self.container.name if self.container else (self.place.bucket or "")
        if self.key is None:
            return bucket
        shown = self.version.shown_id if self.version else self.query.get("versionId")
        return f"{bucket}/{self.key}?v={shown}" if shown else f"{bucket}/{self.key}"

    def run(self, step: Step[T]) -> T:
        """Do a write now and wait: for operations of many steps. Other writes return `step.then(render)`."""
        return self.objects.run(step, self.footprint)

    def reached(self, container: Container, key: str) -> None:
        """An object was read for this request: its tenant learns of it."""
        trail.reached(self.objects, self.footprint, self.bucket, (container, key), self.trace("s3:GetObject"))

    # --- bodies
    def read(self, limit: int = XML_LIMIT, *, digest_needed: bool = False, of_object: bool = False) -> bytes:
        """The whole body, checked against its signature, Content-MD5 and checksum.

        `of_object`: the checksum headers speak of the object, not of this body.
        Raises `TooLarge` beyond `limit`; `Invalid` when a digest is wrong, or absent though needed."""
        body = self.proof.body(self.request)
        length = self.proof.length(self.request)
        if length is not None and length > limit:
            raise TooLarge(f"the body is {length} bytes; at most {limit} are taken here", "too_large")
        data = bytearray(min(limit, length if length is not None else limit) + 1)
        view, got = memoryview(data), 0
        while got < len(data):
            count = body.readinto(view[got:])
            if not count:
                break
            got += count
        if got > limit:
            raise TooLarge(f"the body is longer than {limit} bytes", "too_large")
        view.release()
        del data[got:]
        whole = bytes(data)
        body.finish()
        if not of_object:
            digest.check_document(self.headers, body.trailers, whole, digest_needed)
        return whole

    def read_xml(
        self, root: str, limit: int = XML_LIMIT, *, digest_needed: bool = False, of_object: bool = False
    ) -> Node:
        """The body as an XML tree with the root element `root`; arguments as `read`."""
        data = self.read(limit, digest_needed=digest_needed, of_object=of_object)
        if not data:
            raise Invalid(f"the body is empty; a <{root}> document belongs there", "malformed_xml")
        return parse(data, root)

    # --- answers
    def xml(self, root: str, body: str, status: int = 200) -> Response:
        """An XML document in S3's namespace."""
        data = document(root, body)
        return Response(status, [*self.identified(), ("Content-Type", "application/xml")], data)

    def raw_xml(self, data: bytes, status: int = 200) -> Response:
        """A document kept as given."""
        return Response(status, [*self.identified(), ("Content-Type", "application/xml")], data)

    def empty(self, status: int = 200, headers: list[tuple[str, str | bytes]] | None = None) -> Response:
        """An answer without a body."""
        return Response(status, [*self.identified(), *(headers or ())])

    def identified(self) -> list[tuple[str, str | bytes]]:
        """The headers of every answer."""
        return identified(self.request.request_id)
