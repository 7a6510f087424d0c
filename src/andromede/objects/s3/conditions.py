"""Condition keys of a request for bucket policies, made only when a policy asks for one.

IAM reference, "Actions, resources, and condition keys for Amazon S3" and "Global condition keys".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from andromede.objects.access import keys

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

Value = str | tuple[str, ...]


class ConditionKeys(Mapping[str, Value]):
    """Looks like a dictionary from condition key to text; filled at the first look."""

    __slots__ = ("_call", "_known")

    def __init__(self, call: S3Call) -> None:
        self._call = call
        self._known: dict[str, Value] | None = None

    def __getitem__(self, name: str) -> Value:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, Value]:
        if self._known is None:
            self._known = _gather(self._call)
        return self._known


def _gather(call: S3Call) -> dict[str, Value]:
    request = call.request
    found = keys.request_keys(
        call.header, call.query.get, peer=request.peer, secure=request.scheme == "https", now_us=call.now_us
    )
    found["s3:signatureversion"] = call.proof.signature_version
    found["s3:authType"] = call.proof.auth_type
    return found
