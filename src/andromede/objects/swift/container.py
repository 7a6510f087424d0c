"""Containers: PUT, POST, HEAD, DELETE and what their headers mean. Listings are in `contents`."""

from __future__ import annotations

import re
from urllib.parse import quote

from andromede.errors import Invalid, NotFound
from andromede.objects.access import swiftacl
from andromede.objects.model import ETAG_SETTING, OPAQUE, Container, ContainerChange, NewContainer, Versioning
from andromede.objects.swift import listing, metadata, quota
from andromede.objects.swift.access import KEY_NAMES
from andromede.objects.swift.answers import Pairs, empty, worded
from andromede.objects.swift.call import Call
from andromede.objects.swift.info import POLICY
from andromede.objects.swift.place import MAX_CONTAINER, PARTS_CONTAINER, decode
from andromede.objects.swift.times import last_modified, timestamp
from andromede.web.stream.message import Commit, Response

ACLS = ("x-container-read", "x-container-write")
LOCATIONS = ("x-versions-location", "x-history-location")
_S3_NAME = re.compile(r"(?!xn--)(?!\d+\.\d+\.\d+\.\d+\Z)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]\Z", re.ASCII)
_RESERVED = frozenset({"info", "v1.0", "healthcheck", "crossdomain.xml"})


def headers(call: Call, container: Container) -> Pairs:
    """Counters, metadata and settings; ACLs and signing keys for those who may change them."""
    usage = call.objects.usage(container)
    found: Pairs = [
        ("X-Container-Object-Count", str(usage.objects)),
        ("X-Container-Bytes-Used", str(usage.bytes)),
        ("X-Timestamp", timestamp(container.created_us)),
        ("Last-Modified", last_modified(container.created_us)),
        ("X-Storage-Policy", POLICY),
        ("Accept-Ranges", "bytes"),
    ]
    owner = call.is_owner
    found += metadata.shown({k: v for k, v in container.metadata.items() if owner or k not in KEY_NAMES}, "container")
    found += [
        (f"X-Container-Meta-{metadata.title(name)}", container.settings[name])
        for name in quota.NAMES
        if name in container.settings
    ]
    for name in ACLS:
        if owner and container.settings.get(name):
            found.append((metadata.title(name), container.settings[name].encode("utf-8")))
    for name in LOCATIONS:
        if name in container.settings:
            found.append((metadata.title(name), quote(container.settings[name])))
    if ETAG_SETTING in container.settings:
        found.append(("X-Container-Etag", container.settings[ETAG_SETTING]))
    if container.versioning is not Versioning.OFF:
        found.append(("X-Versions-Enabled", str(container.versioning is Versioning.ENABLED)))
    return found


def head(call: Call) -> Response:
    """HEAD: 204 with the headers."""
    form = listing.chosen_format(call.params, call.header("accept"))
    container = call.open("s3:ListBucket")
    return Response(204, [("Content-Type", f"{listing.TYPES[form]}; charset=utf-8"), *headers(call, container)])


def _wanted(call: Call, old: Container | None) -> ContainerChange:
    """What the headers ask for, merged with nothing yet. Raises `Invalid`."""
    meta = metadata.given(call.headers.items(), "container")
    metadata.check(meta, "container")
    metadata.check_total(metadata.merged(old.metadata if old else {}, meta))
    settings: dict[str, str | None] = {name: meta.pop(name) for name in quota.NAMES if name in meta}
    quota.checked(settings)
    for name in (*ACLS, *LOCATIONS):
        if call.header(name.replace("x-", "x-remove-", 1)) is not None:
            settings[name] = None
    for name in ACLS:
        if (value := call.header(name)) is not None:
            text = value.encode("latin-1").decode("utf-8", "replace")
            settings[name] = swiftacl.cleaned(text, write=name == "x-container-write") or None
    settings.update(_locations(call))
    if (asked := call.header(ETAG_SETTING)) is not None:
        if asked not in ("", "md5", OPAQUE):
            raise Invalid(f"X-Container-Etag must be md5 or {OPAQUE}", "header_form")
        settings[ETAG_SETTING] = OPAQUE if asked == OPAQUE else None
    versioning = _versioning(call, old, settings)
    return ContainerChange(metadata=meta, settings=settings, versioning=versioning)


def _locations(call: Call) -> dict[str, str | None]:
    given = {name: call.header(name) for name in LOCATIONS if call.header(name) is not None}
    if sum(1 for value in given.values() if value) > 1:
        raise Invalid("Only one of x-versions-location or x-history-location may be specified", "versions")
    found: dict[str, str | None] = {}
    for name, value in given.items():
        location = decode((value or "").encode("latin-1"))
        if "/" in location:
            raise Invalid("Container name cannot contain slashes", "header_form")
        if len(location.encode()) > MAX_CONTAINER:
            raise Invalid(f"Container name length is longer than {MAX_CONTAINER}", "name")
        found[name] = location or None
        if location:  # the styles exclude each other: the one given last is the rule
            found.update({other: None for other in LOCATIONS if other != name})
    return found


def _versioning(call: Call, old: Container | None, settings: dict[str, str | None]) -> Versioning | None:
    wanted = call.header("x-versions-enabled")
    locations = metadata.merged(
        {name: value for name, value in (old.settings if old else {}).items() if name in LOCATIONS},
        {name: value for name, value in settings.items() if name in LOCATIONS},
    )
    current = old.versioning if old else Versioning.OFF
    if wanted is None:
        if locations and any(settings.get(name) for name in LOCATIONS) and current is not Versioning.OFF:
            raise Invalid("a container with object versioning cannot use the legacy versioned writes", "versions")
        return None
    if locations:
        raise Invalid(
            "Cannot enable object versioning on a container that is already using the legacy versioned writes feature.",
            "versions",
        )
    if listing.truth(wanted):
        return Versioning.ENABLED
    return Versioning.SUSPENDED if current is not Versioning.OFF else None


def _check_policy(call: Call) -> None:
    policy = call.header("x-storage-policy")
    if policy and policy.lower() != POLICY:
        raise Invalid(f"Invalid X-Storage-Policy '{policy}'", "policy")


def s3_name_wish(name: str) -> str:
    """`may` for names that can be bucket names in the whole installation, else `no`."""
    return "may" if _S3_NAME.match(name) and ".-" not in name and "-." not in name and name not in _RESERVED else "no"


def put(call: Call) -> Commit[tuple[Container, bool]]:
    """PUT: 201 for a new container, 202 with its headers merged for one that was there."""
    if len(call.name.encode()) > MAX_CONTAINER:
        raise Invalid(f"Container name length of {len(call.name.encode())} longer than {MAX_CONTAINER}", "name")
    call.require_account("s3:CreateBucket")
    if call.name == PARTS_CONTAINER:
        raise Invalid(f"the container name {PARTS_CONTAINER} is reserved; choose another", "name")
    _check_policy(call)
    project = call.place.project_id
    try:
        old = call.container = call.objects.container(project, call.name)
    except NotFound:
        old = None
    change = _wanted(call, old)
    if old is not None:
        call.require("s3:PutBucketAcl", old)
    new = NewContainer(
        project,
        call.name,
        owner_id=project,
        want_s3_name=s3_name_wish(call.name),
        metadata=metadata.merged({}, change.metadata),
        settings=metadata.merged({}, change.settings),
        versioning=change.versioning or Versioning.OFF,
    )
    step = call.objects.put_container(new, change, old, call.trace("swift:PutContainer"))
    return step.then(lambda made: empty(201) if made[1] else worded(202, "The request is accepted for processing."))


def post(call: Call) -> Commit[Container]:
    """POST: merge metadata and settings."""
    container = call.open("s3:PutBucketAcl")
    change = _wanted(call, container)
    return call.objects.change_container(container, change, call.trace("swift:PostContainer")).then(
        lambda _: empty(204)
    )


def delete(call: Call) -> Commit[None]:
    """DELETE: 204, 409 while anything is left in it."""
    container = call.open("s3:DeleteBucket")
    return call.objects.delete_container(container, call.trace("swift:DeleteContainer")).then(lambda _: empty(204))
