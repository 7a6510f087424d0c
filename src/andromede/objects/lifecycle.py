"""Lifecycle rules as values, and what they say of one version: pure functions over times.

User guide, "Lifecycle configuration elements": days are counted from creation (noncurrent versions: from
the creation of the version that replaced them) and rounded up to the next midnight UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from andromede.clock import US
from andromede.objects.model import Upload, Version

DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class Filter:
    """What a rule speaks of; all that is given must hold. Sizes are exclusive bounds in bytes."""

    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    larger_than: int | None = None
    smaller_than: int | None = None

    def matches(self, key: str, tags: Mapping[str, str], size: int) -> bool:
        """Does an object with this key, these tags and this size belong to the rule?"""
        return (
            key.startswith(self.prefix)
            and all(tags.get(name) == value for name, value in self.tags)
            and (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
        )

    @property
    def prefix_only(self) -> bool:
        """Only such rules speak of delete markers and unfinished uploads, which have neither tags nor size."""
        return not self.tags and self.larger_than is None and self.smaller_than is None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; None or False where it has no such action. `date_us`: a midnight UTC."""

    id: str
    enabled: bool
    filter: Filter
    days: int | None = None
    date_us: int | None = None
    expired_marker: bool = False
    noncurrent_days: int | None = None
    newer_noncurrent: int = 0
    abort_days: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version stands among those of its key. `noncurrent_index`: 0 for the newest noncurrent one,
    None for the current version; `newer_us`: creation of the version above; `alone`: no other version."""

    noncurrent_index: int | None = None
    newer_us: int = 0
    alone: bool = False


def due_us(from_us: int, days: int, day_seconds: int = DAY_SECONDS) -> int:
    """When `days` have passed; whole days are rounded up to midnight UTC, the short days of tests are not."""
    due = from_us + days * day_seconds * US
    if day_seconds != DAY_SECONDS:
        return due
    midnight = DAY_SECONDS * US
    return -(-due // midnight) * midnight


def expiry(rules: Iterable[Rule], version: Version, day_seconds: int = DAY_SECONDS) -> tuple[int, str] | None:
    """The earliest (time, rule id) at which the current version expires, for `x-amz-expiration`."""
    found: list[tuple[int, str]] = []
    attributes = version.attributes
    for rule in rules:
        if not rule.enabled or not rule.filter.matches(version.key, attributes.tags, version.size):
            continue
        if rule.days is not None:
            found.append((due_us(version.created_us, rule.days, day_seconds), rule.id))
        elif rule.date_us is not None:
            found.append((rule.date_us, rule.id))
    return min(found, default=None)


def expired(rules: Iterable[Rule], version: Version, place: Place, now_us: int, day_seconds: int) -> Rule | None:
    """The first rule by which this version is to go now."""
    for rule in rules:
        if rule.enabled and _applies(rule, version, place, now_us, day_seconds):
            return rule
    return None


def _applies(rule: Rule, version: Version, place: Place, now_us: int, day_seconds: int) -> bool:
    if version.is_marker:
        if not rule.filter.prefix_only or not version.key.startswith(rule.filter.prefix):
            return False
    elif not rule.filter.matches(version.key, version.attributes.tags, version.size):
        return False
    if place.noncurrent_index is not None:
        if rule.noncurrent_days is None or place.noncurrent_index < rule.newer_noncurrent:
            return False
        return now_us >= due_us(place.newer_us, rule.noncurrent_days, day_seconds)
    if version.is_marker:
        # a current marker hides nothing once it is alone
        if not place.alone:
            return False
        if rule.expired_marker:
            return True
    if rule.days is not None:
        return now_us >= due_us(version.created_us, rule.days, day_seconds)
    return rule.date_us is not None and now_us >= rule.date_us


def abandoned(rules: Iterable[Rule], upload: Upload, now_us: int, day_seconds: int) -> Rule | None:
    """The first rule by which this unfinished upload is to be aborted now."""
    for rule in rules:
        if not rule.enabled or rule.abort_days is None or not upload.key.startswith(rule.filter.prefix):
            continue
        if now_us >= due_us(upload.created_us, rule.abort_days, day_seconds):
            return rule
    return None


def abort_due(rules: Iterable[Rule], key: str, created_us: int, day_seconds: int) -> tuple[int, str] | None:
    """The earliest (time, rule id) at which an upload would be aborted, for `x-amz-abort-date`."""
    return min(
        (
            (due_us(created_us, rule.abort_days, day_seconds), rule.id)
            for rule in rules
            if rule.enabled and rule.abort_days is not None and key.startswith(rule.filter.prefix)
        ),
        default=None,
    )
