"""Lifecycle configuration at the S3 door, and the headers that announce an expiry."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from andromede.clock import US, http_date
from andromede.config import Config
from andromede.objects import lifecycle
from andromede.objects.model import Container, Upload, Version
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.lifecycle_xml import ROOT, rules, rules_of, stored_form
from andromede.objects.s3.operations import operation
from andromede.web.stream.message import Commit, Response


@operation(
    "PutBucketLifecycleConfiguration", "PUT", on="bucket", query="lifecycle", action="s3:PutLifecycleConfiguration"
)
def put_lifecycle(call: S3Call) -> Commit[Any]:
    """Check and store the rules; the worker acts on them from its next turn."""
    call.require()
    root = call.read_xml(ROOT, digest_needed=True)
    rules(root)
    return documents.put(call, "lifecycle", stored_form(root, call.context.ids))


@operation(
    "GetBucketLifecycleConfiguration", "GET", on="bucket", query="lifecycle", action="s3:GetLifecycleConfiguration"
)
def get_lifecycle(call: S3Call) -> Response:
    """The rules as they were put, with the IDs that were made for those without."""
    call.require()
    return documents.shown(call, "lifecycle", "lifecycle", "lifecycle configuration")


@operation("DeleteBucketLifecycle", "DELETE", on="bucket", query="lifecycle", action="s3:PutLifecycleConfiguration")
def delete_lifecycle(call: S3Call) -> Commit[Any]:
    """Remove all rules."""
    call.require()
    return documents.remove(call, "lifecycle")


def expiration_header(container: Container, version: Version, config: Config) -> str | None:
    """`x-amz-expiration` of a current version that a rule will remove, None of any other."""
    if "lifecycle" not in container.documents or not version.is_latest:
        return None
    found = lifecycle.expiry(rules_of(container), version, config.objects.day_seconds)
    if found is None:
        return None
    when, rule_id = found
    return f'expiry-date="{http_date(when // US)}", rule-id="{quote(rule_id)}"'


def abort_headers(container: Container, upload: Upload, config: Config) -> list[tuple[str, str | bytes]]:
    """`x-amz-abort-date` and `-rule-id` of an upload that a rule will abort."""
    if "lifecycle" not in container.documents:
        return []
    found = lifecycle.abort_due(rules_of(container), upload.key, upload.created_us, config.objects.day_seconds)
    if found is None:
        return []
    return [("x-amz-abort-date", http_date(found[0] // US)), ("x-amz-abort-rule-id", quote(found[1]))]
