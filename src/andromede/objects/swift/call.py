"""One Swift request on its way through a handler: who asks, for what, and how to answer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from andromede.errors import Denied, Invalid, NotFound, TooLarge, Unauthenticated
from andromede.objects import trail
from andromede.objects.access.actions import role_allows
from andromede.objects.access.keys import request_keys
from andromede.objects.access.request import AccessRequest, Narrowing
from andromede.objects.commit import Footprint
from andromede.objects.manifests import Opener
from andromede.objects.model import Account, Container, Trace, Version
from andromede.objects.swift.place import Place, parse_query
from andromede.web.actor import Actor

if TYPE_CHECKING:
    from andromede.objects.context import Context
    from andromede.objects.service import Step
    from andromede.web.stream.message import Request

T = TypeVar("T")
Pairs = list[tuple[str, "str | bytes"]]

HEADERS = frozenset(
    """
    accept access-control-request-headers access-control-request-method content-length content-type
    content-disposition content-encoding content-language cache-control expires etag destination
    destination-account if-match if-none-match if-modified-since if-unmodified-since if-range origin
    range referer transfer-encoding x-auth-token x-storage-token x-container-etag x-container-read x-container-write
    x-copy-from x-copy-from-account x-delete-after x-delete-at x-detect-content-type x-fresh-metadata
    x-history-location x-object-manifest x-robots-tag x-storage-policy x-symlink-target
    x-symlink-target-account x-symlink-target-etag x-versions-enabled x-versions-location x-web-mode
    x-remove-container-read x-remove-container-write x-remove-history-location
    x-remove-versions-location x-account-quota-bytes x-account-quota-count x-remove-account-quota-bytes
    x-remove-account-quota-count
    """.split()  # noqa: SIM905 - a column of names reads better than a list
)
"""What this door reads. Nothing else of a request's headers reaches the model: not the control headers of
S3 (`x-amz-*`), nor those of Swift's inner servers (`x-backend-*`, `x-timestamp`, `*-sysmeta-*`)."""
PREFIXES = (
    "x-account-meta-",
    "x-container-meta-",
    "x-object-meta-",
    "x-remove-account-meta-",
    "x-remove-container-meta-",
)
MAX_HEADER_VALUE = 8192


class Call:
    """A request with its parts looked up once. `narrowing` is set for signed URLs and forms: how far the
    signature reaches. `footprint`: where the first event of this request's own commits lies."""

    __slots__ = (
        "_headers",
        "actor",
        "container",
        "context",
        "footprint",
        "method",
        "narrowing",
        "now_us",
        "objects",
        "params",
        "place",
        "request",
    )

    def __init__(self, context: Context, request: Request, place: Place) -> None:
        self.context = context
        self.objects = context.objects
        self.request = request
        self.method = request.method
        self.place = place
        self.params = parse_query(request.query)
        self.now_us = context.clock.now_us()
        self.actor: Actor | None = None
        self.narrowing: Narrowing | None = None
        self.container: Container | None = None
        self.footprint = Footprint()
        self._headers: dict[str, str] | None = None

    # --- what was asked
    @property
    def name(self) -> str:
        """The container's name; "" on the account."""
        return self.place.container or ""

    @property
    def key(self) -> str:
        """The object's name; "" elsewhere."""
        return self.place.key or ""

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers that this door knows, lower-case names, Latin-1 text."""
        if self._headers is None:
            found: dict[str, str] = {}
            for raw, value in self.request.headers.raw:
                name = raw.decode("latin-1")
                if name in HEADERS or name.startswith(PREFIXES):
                    if len(value) > MAX_HEADER_VALUE:
                        raise Invalid(f"the header {name} is longer than {MAX_HEADER_VALUE} bytes", "header")
                    found.setdefault(name, value.decode("latin-1"))
            self._headers = found
        return self._headers

    def header(self, name: str) -> str | None:
        """One header by its lower-case name."""
        return self.headers.get(name)

    def without_headers(self, names: Iterable[str]) -> None:
        """Forget headers that may not count in this request."""
        dropped = set(names)
        self._headers = {name: value for name, value in self.headers.items() if name not in dropped}

    def form_headers(self, fields: Mapping[str, str]) -> None:
        """Let a form's fields stand for headers. Those of the request are not signed: of them only `Referer`
        counts, which access rules look at."""
        referer = self.header("referer")
        self._headers = {**fields, "referer": referer} if referer else dict(fields)

    def aside(self, key: str) -> Call:
        """The same request for another object of the container: its page of a website."""
        other = copy.copy(self)
        other.place = dataclasses.replace(self.place, key=key)
        other.params = {}
        return other

    @property
    def version_id(self) -> str | None:
        """`?version-id=`."""
        return self.params.get("version-id")

    def small_body(self, limit: int, *, what: str) -> bytes:
        """The whole body of at most `limit` bytes. Raises `Invalid` (413) beyond."""
        length = self.request.body.length
        if length is not None and length > limit:
            raise TooLarge(f"{what} is longer than {limit} bytes", "body")
        data = bytearray()
        while piece := self.request.body.read(min(1 << 16, limit + 1 - len(data))):
            data += piece
            if len(data) > limit:
                raise TooLarge(f"{what} is longer than {limit} bytes", "body")
        return bytes(data)

    # --- who may
    def require(
        self, action: str, container: Container, key: str | None = None, version: Version | None = None
    ) -> None:
        """Raises `Unauthenticated` for nobody, `Denied` for somebody, unless it may be done."""
        if not self.allowed(action, container, key, version):
            raise self.refusal(f"{action} on container {container.name}")  # word by word as of one that is not there

    def allowed(
        self, action: str, container: Container, key: str | None = None, version: Version | None = None
    ) -> bool:
        """Whether the caller may do the S3 action that this request amounts to."""
        return self.context.evaluator.allowed(
            AccessRequest(self.actor, action, container, key, version, self._conditions(container), self.narrowing)
        ).allowed

    def _conditions(self, container: Container) -> dict[str, str | tuple[str, ...]]:
        """What policies may look at: all that this request has, or a Deny would bind S3 alone. Without a policy
        only the referrer counts."""
        if "policy" not in container.documents:
            referer = self.header("referer")
            return {"aws:Referer": referer} if referer else {}
        return request_keys(
            self._condition_header, self._condition_query, peer=self.request.peer,
            secure=self.request.scheme == "https", now_us=self.now_us,
        )  # fmt: skip

    def _condition_header(self, name: str) -> str | None:
        """Those that mean the same at both doors; the headers of S3 mean nothing here."""
        if name == "user-agent":
            return self.request.headers.get(name)
        return self.header(name) if name in ("referer", "if-match", "if-none-match") else None

    def _condition_query(self, name: str) -> str | None:
        return self.params.get({"max-keys": "limit", "versionId": "version-id"}.get(name, name))

    def refusal(self, what: str) -> Denied | Unauthenticated:
        """401 for nobody, 403 for somebody: whether or not the thing exists."""
        if self.actor is None:
            return Unauthenticated(f"{what} needs a token: send a valid one in X-Auth-Token", "token")
        return Denied(f"{what} is not allowed to this token", "access")

    def may_account(self, action: str) -> bool:
        """Whether a role on the account's project, or ResellerAdmin, gives an action."""
        actor = self.actor
        if actor is None or self.narrowing is not None or not self.place.project_id:
            return False
        if self.is_reseller:
            return True
        return actor.project_id == self.place.project_id and role_allows(actor.roles, action)

    def require_account(self, action: str) -> None:
        """Raises as `require`."""
        if not self.may_account(action):
            raise self.refusal(f"this operation on account {self.place.account}")

    @property
    def is_reseller(self) -> bool:
        """The role that sets quotas and reaches every account."""
        return self.actor is not None and any(role.lower() == "reselleradmin" for role in self.actor.roles)

    @property
    def purpose(self) -> str:
        """Why: a ResellerAdmin on another's account acts for the operator, everybody else for the customer."""
        if not self.is_reseller or self.actor is None or self.actor.project_id == self.place.project_id:
            return "CUSTOMER_ACCESS"
        return "OPERATOR_REVIEW" if self.method in ("GET", "HEAD") else "OPERATOR_SYSTEM"

    @property
    def at_home(self) -> bool:
        """Whether the account is the caller's own, or the caller may act on every account."""
        return self.is_reseller or (self.actor is not None and self.actor.project_id == self.place.project_id)

    @property
    def is_owner(self) -> bool:
        """May see ACLs and signing keys: who may change them."""
        return self.may_account("s3:PutBucketAcl")

    # --- what it concerns
    def open(self, action: str, *, key: str | None = None) -> Container:
        """The request's container, if the caller may do `action` there.

        Raises `NotFound` only to those who may know."""
        container = self.container = self.locate(self.place.project_id, self.name, action)
        self.require(action, container, key)
        return container

    def find(self, project_id: str, name: str, action: str, key: str | None = None) -> Container:
        """As `open`, for any container."""
        container = self.locate(project_id, name, action)
        self.require(action, container, key)
        return container

    def locate(self, project_id: str, name: str, action: str) -> Container:
        """A container before any right on it is looked at: the caller of this does, next. An absent one is
        `NotFound` only to those whom a role would allow `action` there."""
        try:
            return self.objects.container(project_id, name)
        except NotFound:
            own = project_id == self.place.project_id and self.may_account(action)
            if not own and not self.is_reseller:
                raise self.refusal(f"{action} on container {name}") from None
            raise

    def opener(self) -> Opener:
        """Resolves manifests and links with this caller's rights."""

        def astray() -> Denied | Unauthenticated:
            return self.refusal("s3:GetObject on what the object leads to")  # whether or not it is there

        def may_read(container: Container, version: Version) -> None:
            if not self.allowed("s3:GetObject", container, version.key, version):
                raise astray()
            self.reached(container, version.key)

        def may_know(project_id: str, container: Container | None, key: str) -> None:
            if container is not None:
                known = self.allowed("s3:GetObject", container, key)
            else:
                known = self.is_reseller or (self.actor is not None and self.actor.project_id == project_id)
            if not known:
                raise astray()

        return Opener(self.objects, may_read, may_know)

    def account(self) -> Account:
        """The account of the path."""
        return self.objects.account(self.place.project_id)

    # --- effects
    def trace(self, action: str) -> Trace:
        """Who does what, for the audit event. The actor goes as a label: what is stored through this door
        belongs to the account, whoever stored it."""
        label = self.actor.label() if self.actor is not None else None
        return Trace(None, action, self.request.request_id, "swift", self.purpose, label)

    def reached(self, container: Container, key: str) -> None:
        """An object was read for this request: its tenant learns of it."""
        if self.container is not None:
            trace = self.trace("swift:GetObject")
            trail.reached(self.objects, self.footprint, self.container, (container, key), trace)

    def run(self, step: Step[T]) -> T:
        """Do a write now and wait; for operations of several steps."""
        return self.objects.run(step, self.footprint)
