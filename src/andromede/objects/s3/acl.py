"""ACLs at the S3 door: XML, canned names and grant headers, for buckets and objects.

API reference, "PutBucketAcl", "PutObjectAcl"; user guide, "Access control list (ACL) overview".
"""

from __future__ import annotations

import re
from typing import Any

from andromede.errors import Denied, Invalid, NotFound
from andromede.objects.access import public
from andromede.objects.access.acl import (
    GROUPS,
    MAX_GRANTS,
    PERMISSIONS,
    Acl,
    Grant,
    canned,
    effective,
)
from andromede.objects.access.ownership import Ownership, ownership, upload_owner
from andromede.objects.directory import Directory
from andromede.objects.model import Container, ObjectChange, Version
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.reading import described, may_know
from andromede.objects.s3.xml import Node, element, malformed
from andromede.web.stream.message import Commit, Response

GRANT_HEADERS = {
    "x-amz-grant-read": "READ",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write-acp": "WRITE_ACP",
    "x-amz-grant-full-control": "FULL_CONTROL",
}
_GRANTEE = re.compile(r'\s*(id|emailaddress|uri)\s*=\s*("[^"]*"|[^",\s]*)\s*(?:,|$)', re.IGNORECASE)
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type='
_ENFORCED_CANNED = "bucket-owner-full-control"


# --- what a request asks for
def requested(call: S3Call, owner: str, bucket_owner: str) -> Acl | None:
    """The ACL that the headers ask for what `owner` will own; None when they say nothing.

    Raises Invalid for unknown names, malformed grants, or both kinds of header at once."""
    name = call.header("x-amz-acl")
    given = [(header, value) for header in GRANT_HEADERS if (value := call.header(header)) is not None]
    if name is None and not given:
        return None
    if name is not None and given:
        raise Invalid("give either x-amz-acl or x-amz-grant-* headers, not both", "invalid_request")
    if name is not None:
        acl = canned(name, owner, bucket_owner)
        if acl is None:
            raise Invalid(f"x-amz-acl {name[:64]!r} is not a canned ACL", "invalid_argument")
        return acl
    found: list[Grant] = []
    for header, value in given:
        found += _header_grants(call.context.directory, header, value)
    return _bounded(Acl(owner, tuple(found)))


def _header_grants(directory: Directory, header: str, value: str) -> list[Grant]:
    found, at = [], 0
    while at < len(value):
        match = _GRANTEE.match(value, at)
        if match is None:
            raise Invalid(
                f'{header} must list grantees as id="...", emailAddress="..." or uri="..."', "invalid_argument"
            )
        at = match.end()
        kind, text = match.group(1).lower(), match.group(2).strip('"')
        found.append(_grant(directory, kind, text, GRANT_HEADERS[header]))
    return found


def _grant(directory: Directory, kind: str, text: str, permission: str) -> Grant:
    if kind == "uri":
        if text not in GROUPS:
            raise Invalid(f"group {text[:128]!r} is not known", "invalid_argument")
        return Grant(text, permission, True)
    if kind == "emailaddress":
        project = directory.project_of_email(text)
        if project is None:
            raise Invalid(
                f"no user with the e-mail address {text[:128]!r}; grant to a project id instead", "grant_email"
            )
        return Grant(project, permission)
    if directory.project_name(text) is None:
        raise Invalid(f"grantee {text[:128]!r} is not the id of a project", "invalid_argument")
    return Grant(text, permission)


def _bounded(acl: Acl) -> Acl:
    if len(acl.grants) > MAX_GRANTS:
        raise Invalid(f"an ACL holds at most {MAX_GRANTS} grants", "malformed_acl")
    return acl


def permit(container: Container, acl: Acl | None, name: str | None) -> None:
    """Raise when the bucket's ownership rule or public access block forbids this ACL on it or in it."""
    if acl is None:
        return
    if ownership(container) is Ownership.ENFORCED and name != _ENFORCED_CANNED:
        raise Invalid(
            "the bucket does not allow ACLs (BucketOwnerEnforced); leave the ACL out or use a bucket policy",
            "acl_not_supported",
        )
    if acl.public and public.load(container.documents.get("public_access_block")).block_acls:
        raise Denied("public ACLs are blocked by the bucket's BlockPublicAcls setting", "access")


def for_upload(call: S3Call, container: Container) -> tuple[str, bytes | None]:
    """Owner (project id) and stored ACL of the object that this request writes into `container`.

    For PutObject, CopyObject, CreateMultipartUpload and POST uploads. Raises as `requested` and `permit`."""
    name = call.header("x-amz-acl")
    owner = upload_owner(container, call.actor, name)
    acl = requested(call, owner, container.project_id)
    permit(container, acl, name)
    if acl is None or ownership(container) is Ownership.ENFORCED:
        return owner, None
    return owner, acl.dump()


def for_new_bucket(call: S3Call, owner: str, rule: str | None) -> bytes | None:
    """The stored ACL of a bucket that this request creates with the ownership rule `rule`."""
    acl = requested(call, owner, owner)
    if acl is None:
        return None
    if rule == Ownership.ENFORCED and any(grant.group or grant.grantee != owner for grant in acl.grants):
        raise Invalid("a bucket with BucketOwnerEnforced cannot be created with such an ACL", "acl_ownership")
    return acl.dump()


# --- XML
def parse(call: S3Call, owner: str) -> Acl:
    """The ACL in the request's body; its owner must be `owner`."""
    root = call.read_xml("AccessControlPolicy").only("Owner", "AccessControlList")
    named = root.one("Owner")
    given = named.only("ID", "DisplayName").value("ID") if named is not None else None
    if given and given != owner:
        raise Denied("the owner in the ACL is not the present owner, and an ACL cannot change it", "access")
    return _bounded(Acl(owner, grants(call.context.directory, root.need("AccessControlList"))))


def grants(directory: Directory, listed: Node) -> tuple[Grant, ...]:
    """The `<Grant>` elements of a list; groups first, as canned ACLs have them: clients compare in that order."""
    found = [_xml_grant(directory, node) for node in listed.only("Grant").children]
    return tuple(sorted(found, key=lambda grant: not grant.group))


def _xml_grant(directory: Directory, node: Node) -> Grant:
    node.only("Grantee", "Permission")
    permission = node.value("Permission")
    if permission not in PERMISSIONS:
        raise malformed(f"<Permission> must be one of {', '.join(PERMISSIONS)}")
    grantee = node.need("Grantee").only("ID", "DisplayName", "EmailAddress", "URI")
    for child, kind in (("URI", "uri"), ("EmailAddress", "emailaddress"), ("ID", "id")):
        text = grantee.value(child)
        if text is not None:
            return _grant(directory, kind, text.strip(), permission)
    raise malformed("<Grantee> needs an ID, EmailAddress or URI")


def render(call: S3Call, acl: Acl) -> Response:
    """The ACL as XML, with the names of the projects; groups first, as canned ACLs have them."""
    directory = call.context.directory
    rows = []
    for grant in sorted(acl.grants, key=lambda grant: not grant.group):
        if grant.group:
            who = f'<Grantee {_XSI}"Group">{element("URI", grant.grantee)}</Grantee>'
        else:
            who = f'<Grantee {_XSI}"CanonicalUser">{identity(directory, grant.grantee)}</Grantee>'
        rows.append(f"<Grant>{who}{element('Permission', grant.permission)}</Grant>")
    owner = f"<Owner>{identity(directory, acl.owner)}</Owner>"
    return call.xml("AccessControlPolicy", f"{owner}<AccessControlList>{''.join(rows)}</AccessControlList>")


def identity(directory: Directory, project_id: str) -> str:
    """`<ID>` and `<DisplayName>` of a project; one that is gone shows its id."""
    return element("ID", project_id) + element("DisplayName", directory.project_name(project_id) or project_id)


def _asked(call: S3Call, owner: str) -> Acl:
    acl = requested(call, owner, call.bucket.project_id)
    length = call.proof.length(call.request)
    if acl is not None:
        if length:
            raise Invalid("give the ACL in headers or in the body, not in both", "invalid_request")
        return acl
    if length == 0:
        raise Invalid("an ACL is needed: x-amz-acl, x-amz-grant-* or an XML body", "missing_security_header")
    return parse(call, owner)


# --- operations
@operation("GetBucketAcl", "GET", on="bucket", query="acl", action="s3:GetBucketAcl")
def get_bucket_acl(call: S3Call) -> Response:
    """The bucket's ACL; of a bucket that never had one, its owner's full control."""
    call.require()
    return render(call, effective(call.bucket.documents.get("acl"), call.bucket.project_id))


@operation("PutBucketAcl", "PUT", on="bucket", query="acl", action="s3:PutBucketAcl")
def put_bucket_acl(call: S3Call) -> Commit[Any]:
    """Replace the bucket's ACL."""
    call.require()
    # even a harmless ACL is refused while ACLs are off: the caller believes that it would count
    if ownership(call.bucket) is Ownership.ENFORCED:
        permit(call.bucket, effective(None, call.bucket.project_id), None)
    acl = _asked(call, call.bucket.project_id)
    permit(call.bucket, acl, call.header("x-amz-acl"))
    return documents.put(call, "acl", acl.dump())


def _object(call: S3Call) -> Version:
    try:
        call.version = call.objects.head(call.bucket, call.name, call.version_id)
    except NotFound as missing:
        may_know(call, missing, _versioned(call, call.operation.action))
        raise described(missing) from missing
    return call.version


def _versioned(call: S3Call, action: str) -> str:
    return action.replace("Object", "ObjectVersion", 1) if call.version_id is not None else action


@operation("GetObjectAcl", "GET", on="object", query="acl", action="s3:GetObjectAcl")
def get_object_acl(call: S3Call) -> Response:
    """The ACL of an object or version."""
    version = _object(call)
    call.require(_versioned(call, "s3:GetObjectAcl"), version=version)
    if ownership(call.bucket) is Ownership.ENFORCED:
        return render(call, effective(None, call.bucket.project_id))
    return render(call, effective(version.attributes.acl, version.owner_id))


@operation("PutObjectAcl", "PUT", on="object", query="acl", action="s3:PutObjectAcl")
def put_object_acl(call: S3Call) -> Commit[Any]:
    """Replace the ACL of an object or version; the object's time and bytes stay."""
    version = _object(call)
    call.require(_versioned(call, "s3:PutObjectAcl"), version=version)
    if ownership(call.bucket) is Ownership.ENFORCED:
        permit(call.bucket, effective(None, call.bucket.project_id), None)
    acl = _asked(call, version.owner_id)
    permit(call.bucket, acl, call.header("x-amz-acl"))
    change = ObjectChange(acl=acl.dump())

    def of_newest(newest: Version) -> ObjectChange:
        if newest.id != version.id:  # replaced meanwhile, and others may have rights to what is there now
            call.require(version=newest)
            if newest.owner_id != version.owner_id:
                raise NotFound("the object has become another owner's meanwhile; look at it and ask again", "object")
        return change

    step = call.objects.change_object(version, change if call.version_id is not None else of_newest, call.trace())
    return step.then(lambda _: call.empty())
