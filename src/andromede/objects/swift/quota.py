"""Quotas of accounts and containers as headers give them; the core keeps to them."""

from __future__ import annotations

from collections.abc import Mapping

from andromede.errors import Invalid

NAMES = ("quota-bytes", "quota-count")


def checked(metadata: Mapping[str, str | None]) -> None:
    """Raises `Invalid` when a quota among container or account metadata is not a whole number."""
    for name in NAMES:
        value = metadata.get(name)
        if value is not None and not (value.isascii() and value.isdigit() and len(value) < 19):
            raise Invalid(f"Invalid {name.removeprefix('quota-')} quota.", "quota_value")
