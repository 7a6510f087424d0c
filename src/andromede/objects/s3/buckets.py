"""Buckets: list, create, head, delete, location, versioning (API reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.clock import iso_milli
from andromede.errors import Conflict, Denied, Invalid
from andromede.objects.access.actions import powers
from andromede.objects.model import (
    ETAG_SETTING,
    OPAQUE,
    Container,
    ContainerChange,
    ListQuery,
    NewContainer,
    Versioning,
)
from andromede.objects.s3 import acl, listing, ownership, place
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import document, element, elements, malformed, parse
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

LIST_MAX = 10_000


@operation("ListBuckets", "GET", on="service", action="s3:ListAllMyBuckets")
def list_buckets(call: S3Call) -> Response:
    """The caller's buckets, those with an S3 name; paged when asked to."""
    if call.actor is None:
        raise Denied("listing buckets needs a signed request", "access")
    if not _may(call, "s3:ListAllMyBuckets"):
        raise Denied("your roles do not allow to list the buckets of this project; ask for the role reader", "access")
    project = call.project_id
    asked = call.query
    limit = listing.page_size(asked.get("max-buckets"), "max-buckets") if "max-buckets" in asked else LIST_MAX
    if not 1 <= limit <= LIST_MAX:
        raise Invalid(f"argument max-buckets must be an integer between 1 and {LIST_MAX}", "invalid_argument")
    token, prefix = asked.get("continuation-token"), asked.get("prefix", "")
    after = listing.read_token(token) if token else ""
    page = call.objects.list_containers(project, ListQuery(prefix, "", after, limit=limit), s3_only=True)
    region = call.context.config.server.region
    paged = "max-buckets" in asked or token is not None
    rows = []
    for entry in page.entries:
        if isinstance(entry, str):
            continue
        bucket, _ = entry
        where = element("BucketRegion", region) if paged or prefix else ""
        rows.append(
            f"<Bucket>{element('Name', bucket.s3_name or bucket.name)}"
            f"<CreationDate>{iso_milli(bucket.created_us)}</CreationDate>{where}</Bucket>"
        )
    name = call.actor.project_name or project
    owner = f"<Owner>{elements((('ID', project), ('DisplayName', name)))}</Owner>"
    more = element("ContinuationToken", listing.make_token(page.last)) if page.truncated else ""
    shown = element("Prefix", prefix) if prefix else ""
    return call.xml("ListAllMyBucketsResult", f"{owner}<Buckets>{''.join(rows)}</Buckets>{more}{shown}")


def _etags(call: S3Call) -> dict[str, str]:
    """`x-andromede-etag: opaque` at the creation of a bucket."""
    asked = call.header("x-andromede-etag") or "md5"
    if asked not in ("md5", OPAQUE):
        raise Invalid(f"x-andromede-etag must be md5 or {OPAQUE}, not {asked[:32]!r}", "invalid_argument")
    return {ETAG_SETTING: OPAQUE} if asked == OPAQUE else {}


@operation("CreateBucket", "PUT", on="bucket", action="s3:CreateBucket", form="unopened")
def create_bucket(call: S3Call) -> Commit[tuple[Container, bool]]:
    """Make a bucket, or (one's own, again) only overwrite its ACL."""
    project = call.project_id
    name = call.place.bucket or ""
    if not place.valid_bucket_name(name):
        raise Invalid("the specified bucket is not valid: 3 to 63 of a-z 0-9 . -", "bucket_name")
    if not _may(call, "s3:CreateBucket"):
        raise Denied("your roles do not allow to create buckets in this project; ask for the role member", "access")
    _check_location(call)
    lock = (call.header("x-amz-bucket-object-lock-enabled") or "").lower() == "true"
    documents: dict[str, bytes] = {}
    rule = call.header("x-amz-object-ownership")
    if rule is not None:
        documents["ownership"] = ownership.rule_of(rule).encode()
    granted = acl.for_new_bucket(call, project, rule)
    if granted is not None:
        documents["acl"] = granted
    new = NewContainer(
        settings=_etags(call),
        project_id=project,
        name=name,
        owner_id=project,
        want_s3_name="must",
        documents=documents,
        versioning=Versioning.ENABLED if lock else Versioning.OFF,
        lock_enabled=lock,
    )
    step = call.objects.create_container(new, call.trace())

    def render(made: tuple[Container, bool]) -> Response:
        container, created = made
        if not created and container.documents.get("acl") != granted:
            raise Conflict("the bucket is yours already, with another ACL; change it with PutBucketAcl", "bucket_taken")
        return call.empty(200, [("Location", "/" + name)])

    return step.then(render)


def _may(call: S3Call, action: str) -> bool:
    """Whether the caller's roles give what no bucket has a say in."""
    if call.actor is None:
        return False
    held = powers(call.actor.roles)
    return held.everywhere or held.allow(action)


def _check_location(call: S3Call) -> None:
    """The region in the body must be ours. Raises `Invalid`."""
    data = call.read()
    if not data:
        return
    root = parse(data, "CreateBucketConfiguration").only("LocationConstraint", "Location", "Bucket", "Tags")
    asked = root.value("LocationConstraint")
    ours = call.context.config.server.region
    if asked and asked not in (ours, "us-east-1", "default"):
        raise Invalid(f"the location constraint {asked[:64]!r} is not valid; this region is {ours!r}", "location")


@operation("HeadBucket", "HEAD", on="bucket", action="s3:ListBucket")
def head_bucket(call: S3Call) -> Response:
    """Whether the bucket exists and may be listed; with its usage in the form that RGW's clients read."""
    call.require()
    usage = call.objects.usage(call.bucket)
    return call.empty(
        200,
        [
            ("x-amz-bucket-region", call.context.config.server.region),
            ("x-rgw-object-count", str(usage.objects)),
            ("x-rgw-bytes-used", str(usage.bytes)),
        ],
    )


@operation("DeleteBucket", "DELETE", on="bucket", action="s3:DeleteBucket")
def delete_bucket(call: S3Call) -> Commit[None]:
    """Remove an empty bucket."""
    call.require()
    return call.objects.delete_container(call.bucket, call.trace()).then(lambda _: call.empty(204))


@operation("GetBucketLocation", "GET", on="bucket", query="location", action="s3:GetBucketLocation")
def get_location(call: S3Call) -> Response:
    """The region."""
    call.require()
    return call.raw_xml(document("LocationConstraint", call.context.config.server.region))


@operation("GetBucketVersioning", "GET", on="bucket", query="versioning", action="s3:GetBucketVersioning")
def get_versioning(call: S3Call) -> Response:
    """Enabled, Suspended, or nothing when it never was."""
    call.require()
    state = call.bucket.versioning
    shown = {Versioning.ENABLED: "Enabled", Versioning.SUSPENDED: "Suspended"}.get(state)
    return call.xml("VersioningConfiguration", element("Status", shown))


@operation("PutBucketVersioning", "PUT", on="bucket", query="versioning", action="s3:PutBucketVersioning")
def put_versioning(call: S3Call) -> Commit[Container]:
    """Enable or suspend."""
    call.require()
    root = call.read_xml("VersioningConfiguration").only("Status", "MfaDelete")
    status = root.value("Status")
    if status not in ("Enabled", "Suspended"):
        raise malformed("Status must be Enabled or Suspended")
    if root.value("MfaDelete") == "Enabled":
        raise Invalid("MFA delete is not offered here", "invalid_argument")
    state = Versioning.ENABLED if status == "Enabled" else Versioning.SUSPENDED
    if state is Versioning.SUSPENDED and call.bucket.lock_enabled:
        raise Conflict("versioning of a bucket with object lock cannot be suspended", "bucket_state")
    if any(name in call.bucket.settings for name in ("x-versions-location", "x-history-location")):
        raise Conflict("the container keeps old versions in the Swift way; end that first", "bucket_state")
    change = ContainerChange(versioning=state)
    return call.objects.change_container(call.bucket, change, call.trace()).then(lambda _: call.empty())
