"""How versions look in listings and in the headers of an object."""

from __future__ import annotations

from urllib.parse import quote

from andromede.objects import manifests
from andromede.objects.manifests import ACCOUNT_PREFIX, LINK_ACCOUNT, LINK_BYTES, LINK_ETAG, LINK_TARGET
from andromede.objects.model import Kind, Version
from andromede.objects.swift.listing import Entry
from andromede.objects.swift.times import listed

DELETED_TYPE = "application/x-deleted;swift_versions_deleted=1"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def entry(version: Version, account: str) -> Entry:
    """The line of a JSON listing."""
    found: Entry = {
        "bytes": manifests.shown_size(version),
        "hash": version.etag or EMPTY_MD5,
        "name": version.key,
        "content_type": DELETED_TYPE if version.is_marker else _readable(version.attributes.content_type),
        "last_modified": listed(version.created_us),
    }
    settings = version.attributes.settings
    if version.kind is Kind.SLO:
        found["slo_etag"] = f'"{manifests.shown_etag(version)}"'
    elif version.parts:
        found["slo_etag"] = f'"{version.etag}"'
    elif version.kind is Kind.SYMLINK:
        if LINK_ETAG in settings:
            found["symlink_etag"] = settings[LINK_ETAG]
            found["symlink_bytes"] = int(settings.get(LINK_BYTES, "0"))
        target = quote(settings.get(LINK_ACCOUNT) or account) + "/" + settings[LINK_TARGET]
        found["symlink_path"] = f"/v1/{target}"
    return found


def _readable(kind: str) -> str:
    """Latin-1 text of UTF-8 bytes as the text that they mean."""
    return kind if kind.isascii() else kind.encode("latin-1", "replace").decode("utf-8", "replace")


def xml_entry(found: Entry) -> Entry:
    """The fields of a line that the XML form has."""
    return {name: found[name] for name in ("name", "hash", "bytes", "content_type", "last_modified") if name in found}


def version_entry(version: Version, account: str) -> Entry:
    """The line of a `?versions` listing."""
    return {
        **entry(version, account),
        "is_latest": version.is_latest,
        "version_id": version.shown_id,
    }


def own_account(project_id: str) -> str:
    """The account's name of a project."""
    return ACCOUNT_PREFIX + project_id
