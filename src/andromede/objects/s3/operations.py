"""The table of S3 operations: one typed entry per request form, found by method, resource and sub-resource.

A module declares its operations with the `operation` decorator; `find` names the one that a request
means. A sub-resource that has no entry is refused (501), never taken for a plain GET or PUT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from andromede.errors import Invalid, Unsupported
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

Handler = Callable[["S3Call"], "Response | Commit[Any]"]
H = TypeVar("H", bound=Handler)
On = Literal["service", "bucket", "object", "website"]
Form = Literal["plain", "copy", "unopened"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One S3 operation.

    `query`: the sub-resource ("" for none). `copy`: the request carries `x-amz-copy-source`.
    `action`: what the evaluator decides on and what the audit event says. `opens`: whether the bucket
    must exist before the handler runs. `body`: the handler reads the request's body itself.
    """

    name: str
    method: str
    on: On
    query: str
    action: str
    handler: Handler
    copy: bool = False
    opens: bool = True


TABLE: dict[tuple[str, str, str, bool], Operation] = {}

_SUBRESOURCES_WORDS = (
    "abac accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold "
    "lifecycle list-type location logging metadataConfiguration metadataTable metrics notification object-lock "
    "ownershipControls policy policyStatus publicAccessBlock renameObject replication requestPayment restore "
    "retention select session tagging torrent uploadId uploads usage versioning versions website append"
)
SUBRESOURCES = frozenset(_SUBRESOURCES_WORDS.split())
"""Query parameters that choose the operation (Amazon S3 API reference, with `usage` of Ceph's)."""


def operation(
    name: str, method: str, *, on: On, action: str, query: str = "", form: Form = "plain"
) -> Callable[[H], H]:
    """Declare the handler of an operation. `form`: `copy` for requests with `x-amz-copy-source`,
    `unopened` for those whose bucket need not exist yet.

    `@operation("GetBucketAcl", "GET", on="bucket", query="acl", action="s3:GetBucketAcl")`
    """
    copy = form == "copy"
    key = (method, on, query, copy)

    def declare(handler: H) -> H:
        if key in TABLE:
            raise AssertionError(f"two operations for {key}: {TABLE[key].name} and {name}")
        TABLE[key] = Operation(name, method, on, query, action, handler, copy, form != "unopened")
        return handler

    return declare


def subresource(query: Mapping[str, str]) -> str:
    """The sub-resource that a query names, or "". Raises `Invalid` when two contradict each other."""
    if not query:
        return ""
    found = [name for name in query if name in SUBRESOURCES]
    if len(found) > 1:
        raise Invalid(
            f"the query names two sub-resources, {found[0]} and {found[1]}; ask for one at a time", "invalid_argument"
        )
    if found:
        return found[0]
    for name, value in query.items():
        if not value and name not in PARAMETERS and not name[:6].lower() == "x-amz-":
            raise Unsupported(f"there is no sub-resource {name[:64]!r} here", "operation")
    return ""


_PARAMETERS_WORDS = (
    "prefix delimiter marker max-keys encoding-type continuation-token start-after fetch-owner key-marker "
    "version-id-marker max-uploads upload-id-marker part-number-marker max-parts versionId partNumber x-id "
    "bucket-region max-buckets response-content-type response-content-language response-expires "
    "response-cache-control response-content-disposition response-content-encoding AWSAccessKeyId Signature "
    "Expires select-type allow-unordered"
)
PARAMETERS = frozenset(_PARAMETERS_WORDS.split())
"""Query parameters that modify an operation and may be empty."""


def find(method: str, on: str, query: Mapping[str, str], copy: bool) -> Operation:
    """The operation that a request means. Raises `Unsupported` (501, or 405 for a method that nothing here takes)."""
    # the query string of a website belongs to its pages
    sub = subresource(query) if on != "website" else ""
    found = TABLE.get((method, on, sub, copy))
    if found is None and copy:
        found = TABLE.get((method, on, sub, False))
    if found is not None:
        return found
    if sub:
        raise Unsupported(f"{method} with the sub-resource {sub!r} is not offered on a {on}", "operation")
    raise Unsupported(f"{method} is not allowed on a {on}", "method")
