"""Access logging of a bucket (API reference, "PutBucketLogging")."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.objects.access.acl import Acl
from andromede.objects.bucketlog import Logging, permitted
from andromede.objects.model import Container
from andromede.objects.s3 import documents
from andromede.objects.s3.acl import grants
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import Node, malformed, parse
from andromede.web.stream.message import Commit, Response

ROOT = "BucketLoggingStatus"
MAX_PREFIX = 800


def logging(root: Node, acl: bytes | None = None) -> Logging | None:
    """Check and read a configuration; None when it switches logging off. Raises Invalid."""
    enabled = root.only("LoggingEnabled").one("LoggingEnabled")
    if enabled is None:
        return None
    enabled.only("TargetBucket", "TargetPrefix", "TargetGrants", "TargetObjectKeyFormat")
    target, prefix = enabled.need("TargetBucket").text, enabled.value("TargetPrefix") or ""
    if not target:
        raise malformed("<TargetBucket> is empty")
    if len(prefix.encode()) > MAX_PREFIX:
        raise Invalid(f"the target prefix is longer than {MAX_PREFIX} bytes", "invalid_argument")
    layout = enabled.one("TargetObjectKeyFormat")
    return Logging(target, prefix, acl, _partitioned(layout) if layout is not None else False)


def _partitioned(layout: Node) -> bool:
    layout.only("SimplePrefix", "PartitionedPrefix")
    if len(layout.children) != 1:
        raise malformed("<TargetObjectKeyFormat> holds a SimplePrefix or a PartitionedPrefix")
    chosen = layout.children[0]
    if chosen.name == "SimplePrefix":
        return False
    source = chosen.only("PartitionDateSource").value("PartitionDateSource")
    if source not in (None, "EventTime", "DeliveryTime"):
        raise malformed("<PartitionDateSource> must be EventTime or DeliveryTime")
    if source == "EventTime":
        raise Invalid("logs are partitioned by DeliveryTime here", "invalid_argument")
    return True


@lru_cache(maxsize=1024)
def _parsed(stored: bytes, acl: bytes | None) -> Logging | None:
    return logging(parse(stored, ROOT), acl)


def logging_of(container: Container) -> Logging | None:
    """The configuration of a container, None when it does not log."""
    stored = container.documents.get("logging")
    return _parsed(stored, container.documents.get("logging_acl")) if stored else None


@operation("PutBucketLogging", "PUT", on="bucket", query="logging", action="s3:PutBucketLogging")
def put_bucket_logging(call: S3Call) -> Commit[Any]:
    """Check and store the configuration; the target must be one's own and let the log service write."""
    call.require()
    data = call.read(64 * 1024)
    root = parse(data, ROOT)
    config = logging(root)
    if config is None:
        return documents.change(call, {"logging": None, "logging_acl": None}, 200)
    try:
        target = call.objects.container(call.bucket.project_id, config.target)
    except NotFound:
        raise Invalid(
            f"the target bucket {config.target[:64]!r} is not one of the source bucket's project", "target_bucket"
        ) from None
    if not permitted(call.context.evaluator, call.bucket, target, config.prefix):
        raise Invalid(
            f"bucket {target.name} must grant s3:PutObject to the service logging.s3.amazonaws.com by its policy, "
            "or WRITE to the group LogDelivery by its ACL",
            "target_bucket",
        )
    listed = root.need("LoggingEnabled").one("TargetGrants")
    acl = None
    if listed is not None and listed.children:
        acl = Acl(target.project_id, grants(call.context.directory, listed)).dump()
    return documents.change(call, {"logging": data, "logging_acl": acl}, 200)


@operation("GetBucketLogging", "GET", on="bucket", query="logging", action="s3:GetBucketLogging")
def get_bucket_logging(call: S3Call) -> Response:
    """The configuration as it was put; empty when the bucket does not log."""
    call.require()
    stored = call.bucket.documents.get("logging")
    return call.raw_xml(stored) if stored else call.xml(ROOT, "")
