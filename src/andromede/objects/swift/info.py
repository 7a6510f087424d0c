"""What the port says of itself without a token: `/info`, `/healthcheck`, `/crossdomain.xml`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from andromede.objects.manifests import SYMLOOP_MAX
from andromede.objects.swift import metadata, place
from andromede.objects.swift.listing import LIMIT
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.config import Config

SWIFT_LEVEL = "2.38.0"
"""The release of OpenStack Swift whose behaviour this door keeps to; clients compare it with what they need."""
POLICY = "default"
"""The one storage policy."""
MAX_FILE = 5_368_709_122
MAX_MANIFEST_SEGMENTS = 1000
MAX_MANIFEST_SIZE = 8 << 20
MAX_BULK_DELETES = 10_000
MAX_BULK_FAILURES = 1000
MAX_BULK_CONTAINERS = 10_000
TEMPURL_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")


def digests(config: Config) -> list[str]:
    """Digests of signed URLs and forms; SHA-1 only where the operator wants it."""
    return (["sha1"] if config.objects.tempurl_sha1 else []) + ["sha256", "sha512"]


def features(config: Config) -> dict[str, object]:
    """The document of `/info`: only what works."""
    return {
        "swift": {
            "version": SWIFT_LEVEL,
            "account_autocreate": True,
            "account_listing_limit": LIMIT,
            "allow_account_management": False,
            "container_listing_limit": LIMIT,
            "max_account_name_length": 256,
            "max_container_name_length": place.MAX_CONTAINER,
            "max_file_size": MAX_FILE,
            "max_header_size": 8192,
            "max_meta_count": metadata.MAX_COUNT,
            "max_meta_name_length": metadata.MAX_NAME,
            "max_meta_overall_size": metadata.MAX_OVERALL,
            "max_meta_value_length": metadata.MAX_VALUE,
            "max_object_name_length": place.MAX_KEY,
            "policies": [{"name": POLICY, "aliases": POLICY, "default": True}],
            "strict_cors_mode": True,
            "valid_api_versions": ["v1", "v1.0"],
        },
        "account_quotas": {},
        "bulk_delete": {"max_deletes_per_request": MAX_BULK_DELETES, "max_failed_deletes": MAX_BULK_FAILURES},
        "bulk_upload": {
            "max_containers_per_extraction": MAX_BULK_CONTAINERS,
            "max_failed_extractions": MAX_BULK_FAILURES,
        },
        "container_quotas": {},
        "crossdomain": {},
        "formpost": {"allowed_digests": digests(config)},
        "object_versioning": {},
        "slo": {
            "allow_async_delete": True,
            "max_manifest_segments": MAX_MANIFEST_SEGMENTS,
            "max_manifest_size": MAX_MANIFEST_SIZE,
            "min_segment_size": 1,
            "yield_frequency": 10,
        },
        "staticweb": {},
        "symlink": {"static_links": True, "symloop_max": SYMLOOP_MAX},
        "tempurl": {
            "allowed_digests": digests(config),
            "incoming_allow_headers": [],
            "incoming_remove_headers": ["x-timestamp"],
            "methods": list(TEMPURL_METHODS),
            "outgoing_allow_headers": ["x-object-meta-public-*"],
            "outgoing_remove_headers": ["x-object-meta-*"],
        },
        "versioned_writes": {"allowed_flags": ["x-versions-location", "x-history-location"]},
    }


_CROSSDOMAIN = b"""<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >
<cross-domain-policy>
<allow-access-from domain="*" secure="false" />
</cross-domain-policy>"""


def answer(path: bytes, method: str, config: Config) -> Response | None:
    """The answer for one of the open paths, None for any other path."""
    if path == b"/info":
        body, kind = json.dumps(features(config)).encode(), "application/json; charset=UTF-8"
    elif path == b"/healthcheck":
        body, kind = b"OK", "text/plain"
    elif path == b"/crossdomain.xml":
        body, kind = _CROSSDOMAIN, "application/xml"
    else:
        return None
    if method == "OPTIONS":
        return Response(200, [("Allow", "HEAD, GET, OPTIONS")])
    if method not in ("GET", "HEAD"):
        return Response(405, [("Allow", "HEAD, GET, OPTIONS"), ("Content-Type", "text/plain")])
    return Response(200, [("Content-Type", kind)], b"" if method == "HEAD" else body, length=len(body))
