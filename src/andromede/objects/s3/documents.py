"""Storing, showing and removing a bucket's documents: what all sub-resources of buckets share."""

from __future__ import annotations

from typing import Any

from andromede.errors import NotFound
from andromede.objects.model import ContainerChange
from andromede.objects.s3.call import S3Call
from andromede.web.stream.message import Commit, Response


def put(call: S3Call, kind: str, data: bytes, status: int = 200) -> Commit[Any]:
    """Store a document and answer without a body."""
    return change(call, {kind: data}, status)


def remove(call: S3Call, kind: str) -> Commit[Any]:
    """Remove a document, there or not: 204."""
    return change(call, {kind: None}, 204)


def change(call: S3Call, documents: dict[str, bytes | None], status: int) -> Commit[Any]:
    """Change several documents in one transaction."""
    step = call.objects.change_container(call.bucket, ContainerChange(documents=documents), call.trace())
    return step.then(lambda _: call.empty(status))


def stored(call: S3Call, kind: str, reason: str, what: str) -> bytes:
    """The document as stored. Raises NotFound with the dialect's `reason`."""
    found = call.bucket.documents.get(kind)
    if found is None:
        raise NotFound(f"bucket {call.bucket.name} has no {what}; put one first", reason)
    return found


def shown(call: S3Call, kind: str, reason: str, what: str) -> Response:
    """The document exactly as it was given."""
    return call.raw_xml(stored(call, kind, reason, what))
