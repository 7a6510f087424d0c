"""The one evaluator: explicit Deny, public access block, owner project by role, Allow, else deny.

Both doors ask it with S3 action names; so a bucket policy binds Swift requests too.
"""

from __future__ import annotations

from collections.abc import Callable

from andromede.errors import Denied
from andromede.objects.access import actions, keys
from andromede.objects.access.acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    LOG_DELIVERY,
    LOG_SERVICE,
    effective,
    permissions,
)
from andromede.objects.access.bucket import BucketAccess, Cache
from andromede.objects.access.ownership import Ownership
from andromede.objects.access.policy import Ask
from andromede.objects.access.request import AccessRequest, Decision, Narrowing
from andromede.objects.model import Container

Rule = Callable[[AccessRequest, BucketAccess, Ask], "Decision | None"]


def ask_of(request: AccessRequest) -> Ask:
    """The question in the form that policy statements take."""
    return Ask(
        actor=request.actor,
        service=request.service,
        action=request.action,
        resource=request.label,
        context=keys.evaluation_keys(request.context, request.actor, request.container, request.version),
    )


def scope_denial(request: AccessRequest, _: BucketAccess, __: Ask) -> Decision | None:
    """A scoped signature reaches nothing beyond its scope."""
    scope = request.narrowing
    if scope is None or _inside(scope, request):
        return None
    return Decision(False, f"the signature of this request does not cover {request.action} on {request.label}")


def _inside(scope: Narrowing, request: AccessRequest) -> bool:
    if scope.project_id != request.container.project_id or request.action not in scope.actions:
        return False
    if scope.container_name is not None and scope.container_name != request.container.name:
        return False
    if scope.key is None:
        return True
    if request.key is None:
        return False
    return request.key.startswith(scope.key) if scope.prefix else request.key == scope.key


def policy_denial(request: AccessRequest, bucket: BucketAccess, ask: Ask) -> Decision | None:
    """An explicit Deny wins over everything, except that managers of the owner project keep the policy itself."""
    statement = bucket.policy.denial(ask) if bucket.policy is not None else None
    if statement is None:
        return None
    if request.action in actions.POLICY_ACTIONS and _manages(request):
        return None
    name = f" {statement.sid!r}" if statement.sid else ""
    return Decision(False, f"a Deny statement{name} of the bucket policy applies")


def _manages(request: AccessRequest) -> bool:
    return request.actor is not None and request.in_owner_project and actions.powers(request.actor.roles).manages


def owner_role(request: AccessRequest, bucket: BucketAccess, _: Ask | None = None) -> Decision | None:
    """The owner project's members by role; a ResellerAdmin in every project."""
    actor = request.actor
    if actor is None:
        return None
    powers = actions.powers(actor.roles)
    if powers.everywhere:
        return Decision(True, "the role ResellerAdmin reaches every account")
    if not owns(request, bucket) or not powers.allow(request.action):
        return None
    return Decision(True, f"a role in the owner project {actor.project_id} allows {request.action}")


def owns(request: AccessRequest, bucket: BucketAccess) -> bool:
    """Is the caller's project the owner of what the action concerns?"""
    project = request.actor.project_id if request.actor is not None else None
    if project is None:
        return False
    version = request.version
    if version is None or request.action not in actions.OWNED_BY_WRITER or bucket.ownership is Ownership.ENFORCED:
        return project == request.container.project_id
    return project == version.owner_id


def policy_allowance(request: AccessRequest, bucket: BucketAccess, ask: Ask) -> Decision | None:
    """An Allow of the bucket policy, unless the public access block restricts a public policy."""
    if bucket.policy is None:
        return None
    restricted = bucket.block.restrict_buckets and bucket.policy_is_public
    if restricted and not request.in_owner_project and request.service is None:
        return None
    for statement, principal in bucket.policy.allowances(ask):
        # a project that is let in decides by its own roles what each of its users may do
        if principal.kind == "project" and not _role(request):
            continue
        name = f" {statement.sid!r}" if statement.sid else ""
        return Decision(True, f"an Allow statement{name} of the bucket policy applies")
    return None


def _role(request: AccessRequest) -> bool:
    return request.actor is not None and actions.role_allows(request.actor.roles, request.action)


def _groups(request: AccessRequest) -> tuple[str, ...]:
    if request.service is not None:
        return (LOG_DELIVERY,) if request.service == LOG_SERVICE else ()
    return (ALL_USERS,) if request.actor is None else (ALL_USERS, AUTHENTICATED_USERS)


def acl_allowance(request: AccessRequest, bucket: BucketAccess, _: Ask) -> Decision | None:
    """A grant of the bucket's ACL, or for reading an object of the object's own."""
    if bucket.ownership is Ownership.ENFORCED:
        return None
    actor = request.actor
    groups = _groups(request) if not bucket.block.ignore_acls else ()
    project = actor.project_id if actor is not None else None
    if request.version is not None:
        own = effective(request.version.attributes.acl, request.version.owner_id)
        tables = [(actions.OBJECT_ACL, own, "object"), (actions.BUCKET_ACL, bucket.acl, "bucket")]
    else:
        tables = [(actions.BUCKET_ACL, bucket.acl, "bucket")]
    for table, acl, what in tables:
        for permission, grant in permissions(acl, project, groups):
            if request.action in table[permission] and (grant.group or _role(request)):
                whom = grant.grantee.rpartition("/")[2]
                return Decision(True, f"the {what}'s ACL grants {grant.permission} to {whom}")
    return None


def swift_allowance(request: AccessRequest, bucket: BucketAccess, ask: Ask) -> Decision | None:
    """An entry of the Swift read or write ACL."""
    owner = request.container.project_id
    if request.action in actions.SWIFT_READ | actions.SWIFT_LIST:
        entry = bucket.read.member(request.actor, owner)
        if entry is not None:
            return Decision(True, f"the read ACL names {entry}")
        opened = bucket.read.listings or request.action in actions.SWIFT_READ
        if opened and not bucket.block.ignore_acls and bucket.read.referred(ask.lookup("aws:Referer")):
            return Decision(True, "the read ACL admits this referrer")
    if request.action in actions.SWIFT_WRITE:
        entry = bucket.write.member(request.actor, owner)
        if entry is not None:
            return Decision(True, f"the write ACL names {entry}")
    return None


RULES: tuple[tuple[str, Rule], ...] = (
    ("scope of the signature", scope_denial),
    ("Deny of the bucket policy", policy_denial),
    ("role in the owner project", owner_role),
    ("Allow of the bucket policy", policy_allowance),
    ("S3 ACL", acl_allowance),
    ("Swift ACL", swift_allowance),
)
"""In order; the first that answers decides. The public access block acts inside the last three."""


def refusal(request: AccessRequest, decision: Decision) -> Denied:
    """What the caller reads. Which statement denies is for those to know who may read the owner's project; to all
    others a refusal reads the same whatever the bucket holds, and of a key that is not there as of one that is."""
    actor = request.actor
    inside = actor is not None and request.in_owner_project and actions.powers(actor.roles).reads
    reason = f": {decision.reason}" if inside and not decision.allowed else ""
    return Denied(
        f"{request.action} on {request.label} is denied{reason}. "
        "Ask the owner of the bucket for a policy statement or an ACL grant.",
        "access",
    )


class Evaluator:
    """Answers access requests from the documents that they carry; holds no state but a cache of parsed ones."""

    def __init__(self, cache_size: int = 4096) -> None:
        self._cache = Cache(cache_size)

    def bucket(self, container: Container) -> BucketAccess:
        """The parsed access documents of a container."""
        return self._cache.of(container)

    def allowed(self, request: AccessRequest) -> Decision:
        """May this happen, and by which rule?"""
        bucket = self._cache.of(request.container)
        if bucket.policy is None and request.narrowing is None:
            # neither of the two rules before this one has anything to say: the common case, kept short
            decision = owner_role(request, bucket)
            if decision is not None:
                return decision
        ask = ask_of(request)
        for _, rule in RULES:
            decision = rule(request, bucket, ask)
            if decision is not None:
                return decision
        return Decision(False, "no role, policy statement or ACL allows it")

    def require(self, request: AccessRequest) -> None:
        """Raise Denied (reason="access") unless it may happen."""
        decision = self.allowed(request)
        if not decision.allowed:
            raise refusal(request, decision)
