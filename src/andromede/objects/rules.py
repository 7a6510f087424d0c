"""Rules that a write must meet, evaluated inside the commit on what is there at that moment."""

from __future__ import annotations

import re
from collections.abc import Mapping

from andromede.db import Tx
from andromede.errors import Denied, NotFound, OverQuota, Precondition
from andromede.objects import container_store
from andromede.objects.container_store import Reader, State
from andromede.objects.model import HIDDEN, NO_CONDITIONS, Conditions, Lock, Version

_ETAG = re.compile(r'(?:W/)?"([^"]*)"|([^\s,"]+)')


def etags(header: str) -> list[str]:
    """The bare ETags of an If-Match or If-None-Match header (RFC 9110 13.1); `*` stays `*`."""
    return [quoted or bare for quoted, bare in _ETAG.findall(header)]


def expired(version: Version, now_us: int) -> bool:
    """Whether X-Delete-At has come: the object counts as absent from that moment."""
    at = version.attributes.delete_at_us
    return at is not None and at <= now_us


def visible(newest: Version | None, now_us: int) -> Version | None:
    """The newest version if a reader would see it."""
    return None if newest is None or newest.is_marker or expired(newest, now_us) else newest


def check_put(current: Version | None, conditions: Conditions, key: str) -> None:
    """If-Match and If-None-Match of a write (RFC 9110 13.1). `current` is the visible version."""
    if conditions is NO_CONDITIONS:
        return
    if conditions.if_none_match is not None and current is not None:
        found = etags(conditions.if_none_match)
        if "*" in found or current.etag in found:
            raise Precondition(f"{key!r} exists and If-None-Match forbids to replace it", "if_none_match", key=key)
    if conditions.if_match is not None:
        if current is None:
            raise NotFound(f"{key!r} does not exist, and If-Match asks for a version of it", "object", key=key)
        found = etags(conditions.if_match)
        if "*" not in found and current.etag not in found:
            raise Precondition(f"{key!r} has another ETag than If-Match asks for", "if_match", key=key)


def check_delete(target: Version | None, conditions: Conditions, key: str) -> None:
    """Conditions of a delete. An absent key meets every condition; behind a delete marker an ETag, time
    or size is a mismatch and `*` is not."""
    if conditions is NO_CONDITIONS or target is None:
        return
    wrong = ""
    if conditions.if_match is not None:
        found = etags(conditions.if_match)
        if "*" not in found and (target.is_marker or target.etag not in found):
            wrong = "ETag"
    at = conditions.if_match_last_modified_us
    if at is not None and (target.is_marker or target.created_us // 1_000_000 != at // 1_000_000):
        wrong = wrong or "modification time"
    if conditions.if_match_size is not None and (target.is_marker or target.size != conditions.if_match_size):
        wrong = wrong or "size"
    if wrong:
        raise Precondition(f"{key!r} has another {wrong} than the condition asks for", "if_match", key=key)


def locked(lock: Lock, now_us: int, bypass: bool) -> bool:
    """Whether a version may not be removed."""
    if lock.legal_hold:
        return True
    if lock.mode is None or lock.until_us is None or lock.until_us <= now_us:
        return False
    return lock.mode == "COMPLIANCE" or not bypass


def check_unlocked(version: Version, now_us: int, bypass: bool = False) -> None:
    """Raise Denied reason `locked` for a version under retention or legal hold."""
    if locked(version.attributes.lock, now_us, bypass):
        raise Denied(
            f"{version.key!r} version {version.shown_id} is locked: it cannot be removed before its retention ends",
            "locked",
            key=version.key,
        )


def check_lock_change(old: Lock, new: Lock, now_us: int, bypass: bool) -> None:
    """COMPLIANCE is only ever lengthened; GOVERNANCE too, and anything else done to it needs the bypass."""
    if old.mode is None or old.until_us is None or old.until_us <= now_us:
        return
    stronger = new.until_us is not None and new.until_us >= old.until_us
    if old.mode == "COMPLIANCE":
        allowed = stronger and new.mode == "COMPLIANCE"
    else:
        allowed = (stronger and new.mode == "GOVERNANCE") or bypass
    if not allowed:
        raise Denied(f"the {old.mode} retention may only be lengthened", "locked")


def _limit(values: Mapping[str, str], *names: str) -> int | None:
    for name in names:
        if (text := values.get(name)) and text.isdigit():
            return int(text)
    return None


def quotas(state: State) -> tuple[int | None, int | None, int | None, int | None]:
    """(container bytes, container count, account bytes, account count); None: no limit."""
    settings, account = state.container.settings, state.account.settings
    if (not settings and not account) or state.container.name.startswith(HIDDEN):
        return None, None, None, None
    return (
        _limit(settings, "x-container-meta-quota-bytes", "quota-bytes"),
        _limit(settings, "x-container-meta-quota-count", "quota-count"),
        _limit(account, "quota-bytes", "x-account-quota-bytes"),
        _limit(account, "quota-count", "x-account-quota-count"),
    )


def check_quota(reader: Reader | Tx, state: State, objects: int, size: int) -> None:
    """Raise OverQuota when counters plus the change would pass a limit. The reader sees exact counters."""
    most_bytes, most_count, account_bytes, account_count = quotas(state)
    container = state.container
    if (most_bytes is not None and size > 0) or (most_count is not None and objects > 0):
        used = container_store.usage(reader, container.id)
        if most_bytes is not None and size > 0 and used.bytes + size > most_bytes:
            raise OverQuota(f"the container's quota of {most_bytes} bytes would be exceeded", "quota_bytes")
        if most_count is not None and objects > 0 and used.objects + objects > most_count:
            raise OverQuota(f"the container's quota of {most_count} objects would be exceeded", "quota_count")
    if (account_bytes is not None and size > 0) or (account_count is not None and objects > 0):
        total = container_store.account_usage(reader, container.project_id)
        if account_bytes is not None and size > 0 and total.bytes + size > account_bytes:
            raise OverQuota(f"the account's quota of {account_bytes} bytes would be exceeded", "quota_bytes")
        if account_count is not None and objects > 0 and total.objects + objects > account_count:
            raise OverQuota(f"the account's quota of {account_count} objects would be exceeded", "quota_count")
