"""Condition keys of a request for bucket policies, made only when a policy asks for one.

IAM reference, "Actions, resources, and condition keys for Amazon S3" and "Global condition keys".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from andromede.clock import US, iso_second

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

_QUERY = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys", "versionId": "s3:VersionId"}
_HEADERS = {"referer": "aws:Referer", "user-agent": "aws:UserAgent", "x-amz-content-sha256": "s3:x-amz-content-sha256"}
_CONTROL_WORDS = (
    "x-amz-acl x-amz-copy-source x-amz-metadata-directive x-amz-server-side-encryption x-amz-server-side- "
    "encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm x-amz-storage-class x-amz-website- "
    "redirect-location x-amz-grant-read x-amz-grant-write x-amz-grant-read-acp x-amz-grant-write-acp x-amz-grant- "
    "full-control x-amz-object-ownership"
)
_CONTROL = tuple(_CONTROL_WORDS.split())
_LOCK = {
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "if-match": "s3:if-match",
    "if-none-match": "s3:if-none-match",
}


class ConditionKeys(Mapping[str, str]):
    """Looks like a dictionary from condition key to text; filled at the first look."""

    __slots__ = ("_call", "_known")

    def __init__(self, call: S3Call) -> None:
        self._call = call
        self._known: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        if self._known is None:
            self._known = _gather(self._call)
        return self._known


def _gather(call: S3Call) -> dict[str, str]:
    request, actor = call.request, call.actor
    found = {
        "aws:SourceIp": request.peer,
        "aws:SecureTransport": "true" if request.scheme == "https" else "false",
        "aws:CurrentTime": iso_second(call.now_us),
        "aws:EpochTime": str(call.now_us // US),
        "aws:PrincipalType": "Anonymous" if actor is None else "User",
        "s3:signatureversion": call.proof.signature_version,
        "s3:authType": call.proof.auth_type,
    }
    if actor is not None:
        found["aws:userid"], found["aws:username"] = actor.user_id, actor.user_name
        if actor.project_id is not None:
            found["aws:PrincipalAccount"] = actor.project_id
    for name, condition in _QUERY.items():
        if name in call.query:
            found[condition] = call.query[name]
    for name in _CONTROL:
        if (value := call.header(name)) is not None:
            found["s3:" + name] = value
    for table in (_HEADERS, _LOCK):
        for name, condition in table.items():
            if (value := call.header(name)) is not None:
                found[condition] = value
    return found
