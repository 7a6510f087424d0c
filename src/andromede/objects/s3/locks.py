"""Object lock: the bucket's default rule, retention and legal hold of versions.

API reference, "Using S3 Object Lock". COMPLIANCE only lengthens; the core refuses what the lock forbids.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from andromede.clock import US, iso_second
from andromede.errors import Conflict, Invalid, NotFound
from andromede.objects.model import Container, ContainerChange, Lock, ObjectChange, Versioning
from andromede.objects.s3 import kinds
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import Node, document, element, malformed, parse
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

MODE = "x-amz-object-lock-mode"
UNTIL = "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"
BYPASS = "x-amz-bypass-governance-retention"
MODES = ("GOVERNANCE", "COMPLIANCE")
UNLOCKED = Lock()
DAY_US = 86_400 * US
DAYS_MAX = 36_500
YEARS_MAX = 100


def instant(text: str) -> int:
    """Microseconds of an ISO 8601 date. Raises `Invalid`."""
    try:
        found = dt.datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            found = found.replace(tzinfo=dt.UTC)
        return int(found.timestamp()) * US
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "the retain-until date must be in ISO 8601, such as 2027-01-31T00:00:00Z", "invalid_argument"
        ) from error


def of_request(call: S3Call) -> Lock:
    """Lock of a new version: from the headers, else from the bucket's default. Raises `Invalid`."""
    headers, container = call.headers, call.bucket
    if not call.kinds & kinds.LOCK:
        return default_lock(container, call.now_us) if container.lock_enabled else UNLOCKED
    mode, until, hold = headers.get(MODE), headers.get(UNTIL), headers.get(HOLD)
    if mode is None and until is None and hold is None:
        return default_lock(container, call.now_us) if container.lock_enabled else Lock()
    if not container.lock_enabled:
        raise Invalid("the bucket is missing its object lock configuration", "invalid_request")
    if hold is not None and hold not in ("ON", "OFF"):
        raise Invalid(f"{HOLD} must be ON or OFF", "invalid_argument")
    if (mode is None) != (until is None):
        raise Invalid(f"{MODE} and {UNTIL} must both be given", "invalid_argument")
    if mode is None or until is None:
        rule = default_lock(container, call.now_us)
        return Lock(rule.mode, rule.until_us, hold == "ON")
    if mode not in MODES:
        raise Invalid(f"{MODE} must be GOVERNANCE or COMPLIANCE", "invalid_argument")
    until_us = instant(until)
    if until_us <= call.now_us:
        raise Invalid("the retain-until date must lie in the future", "invalid_argument")
    return Lock(mode, until_us, hold == "ON")


def default_lock(container: Container, now_us: int) -> Lock:
    """What the bucket's rule gives a version made now."""
    stored = container.documents.get("lock")
    rule = _rule(parse(stored, "ObjectLockConfiguration")) if stored else None
    if rule is None:
        return Lock()
    mode, days, years = rule
    if days:
        return Lock(mode, now_us + days * DAY_US)
    then = dt.datetime.fromtimestamp(now_us // US, dt.UTC)
    last = 28 if (then.month, then.day) == (2, 29) else then.day
    return Lock(mode, int(then.replace(year=then.year + years, day=last).timestamp()) * US)


def _rule(root: Node) -> tuple[str, int, int] | None:
    """(mode, days, years) of a configuration. Raises `Invalid`."""
    root.only("ObjectLockEnabled", "Rule")
    if root.value("ObjectLockEnabled") not in (None, "Enabled"):
        raise malformed("ObjectLockEnabled must be Enabled")
    rule = root.one("Rule")
    if rule is None:
        return None
    default = rule.only("DefaultRetention").need("DefaultRetention").only("Mode", "Days", "Years")
    mode = default.need("Mode").text
    if mode not in MODES:
        raise malformed("Mode must be GOVERNANCE or COMPLIANCE")
    days, years = default.value("Days"), default.value("Years")
    if (days is None) == (years is None):
        raise malformed("DefaultRetention needs either Days or Years")
    return mode, _count(days, DAYS_MAX, "Days"), _count(years, YEARS_MAX, "Years")


def _count(text: str | None, most: int, what: str) -> int:
    if text is None:
        return 0
    digits = text.strip()
    if not digits.lstrip("-").isdigit() or not digits.isascii() or len(digits) > 12:
        raise malformed(f"{what} must be a number")
    if not 0 < int(digits) <= most:
        raise Invalid(f"{what} of the default retention must be between 1 and {most}", "retention_period")
    return int(digits)


@operation(
    "PutObjectLockConfiguration", "PUT", on="bucket", query="object-lock", action="s3:PutBucketObjectLockConfiguration"
)
def put_configuration(call: S3Call) -> Commit[Container]:
    """Set the default rule; the bucket must have versioning enabled."""
    call.require()
    root = call.read_xml("ObjectLockConfiguration")
    if root.value("ObjectLockEnabled") != "Enabled":
        raise malformed("ObjectLockEnabled must be Enabled")
    rule = _rule(root)
    if call.bucket.versioning is not Versioning.ENABLED:
        raise Conflict("object lock needs a bucket with versioning enabled; enable that first", "bucket_state")
    change = ContainerChange(documents={"lock": document("ObjectLockConfiguration", _shown(rule))}, lock_enabled=True)
    step = call.objects.change_container(call.bucket, change, call.trace())
    return step.then(lambda _: call.empty())


def _shown(rule: tuple[str, int, int] | None) -> str:
    inner = element("ObjectLockEnabled", "Enabled")
    if rule is None:
        return inner
    mode, days, years = rule
    length = element("Days", days) if days else element("Years", years)
    return f"{inner}<Rule><DefaultRetention>{element('Mode', mode)}{length}</DefaultRetention></Rule>"


@operation(
    "GetObjectLockConfiguration", "GET", on="bucket", query="object-lock", action="s3:GetBucketObjectLockConfiguration"
)
def get_configuration(call: S3Call) -> Response:
    """The default rule."""
    call.require()
    if not call.bucket.lock_enabled:
        raise NotFound("object lock configuration does not exist for this bucket", "lock_configuration")
    stored = call.bucket.documents.get("lock")
    return call.raw_xml(stored if stored else document("ObjectLockConfiguration", _shown(None)))


def _need_lock(call: S3Call) -> None:
    if not call.bucket.lock_enabled:
        raise Invalid("the bucket is missing its object lock configuration", "invalid_request")


@operation("PutObjectRetention", "PUT", on="object", query="retention", action="s3:PutObjectRetention")
def put_retention(call: S3Call) -> Commit[Any]:
    """Set, lengthen or (with the right to bypass) weaken the retention of a version; an empty document removes it."""
    call.require()
    _need_lock(call)
    root = call.read_xml("Retention").only("Mode", "RetainUntilDate")
    mode, until = root.value("Mode"), root.value("RetainUntilDate")
    if (mode is None) != (until is None):
        raise malformed("Retention needs both Mode and RetainUntilDate, or neither")
    if mode is not None and mode not in MODES:
        raise malformed("Mode must be GOVERNANCE or COMPLIANCE")
    version = call.version = call.objects.head(call.bucket, call.name, call.version_id)
    lock = Lock(mode, instant(until) if until is not None else None, version.attributes.lock.legal_hold)
    if lock.until_us is not None and lock.until_us <= call.now_us:
        raise Invalid("the retain-until date must lie in the future", "invalid_argument")
    change = ObjectChange(lock=lock, bypass_governance=bypasses(call))
    return call.objects.change_object(version, change, call.trace()).then(lambda _: call.empty())


def bypasses(call: S3Call) -> bool:
    """Whether the caller asked to bypass GOVERNANCE and may."""
    if not call.kinds & kinds.LOCK:
        return False
    asked = (call.header(BYPASS) or "").lower() == "true"
    return asked and call.allowed("s3:BypassGovernanceRetention")


@operation("GetObjectRetention", "GET", on="object", query="retention", action="s3:GetObjectRetention")
def get_retention(call: S3Call) -> Response:
    """Mode and date of a version's retention."""
    call.require()
    _need_lock(call)
    version = call.version = call.objects.head(call.bucket, call.name, call.version_id)
    lock = version.attributes.lock
    if lock.mode is None or lock.until_us is None:
        raise NotFound("the specified object does not have a retention", "retention")
    return call.xml("Retention", element("Mode", lock.mode) + element("RetainUntilDate", iso_second(lock.until_us)))


@operation("PutObjectLegalHold", "PUT", on="object", query="legal-hold", action="s3:PutObjectLegalHold")
def put_hold(call: S3Call) -> Commit[Any]:
    """Set or lift the legal hold of a version."""
    call.require()
    _need_lock(call)
    status = call.read_xml("LegalHold").only("Status").need("Status").text
    if status not in ("ON", "OFF"):
        raise malformed("Status must be ON or OFF")
    version = call.version = call.objects.head(call.bucket, call.name, call.version_id)
    lock = version.attributes.lock
    change = ObjectChange(lock=Lock(lock.mode, lock.until_us, status == "ON"))
    return call.objects.change_object(version, change, call.trace()).then(lambda _: call.empty())


@operation("GetObjectLegalHold", "GET", on="object", query="legal-hold", action="s3:GetObjectLegalHold")
def get_hold(call: S3Call) -> Response:
    """Whether a version is held."""
    call.require()
    _need_lock(call)
    version = call.version = call.objects.head(call.bucket, call.name, call.version_id)
    return call.xml("LegalHold", element("Status", "ON" if version.attributes.lock.legal_hold else "OFF"))
