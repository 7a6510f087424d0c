"""Negotiation of microversions (API-SIG guideline "microversion specification")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from andromede.errors import Invalid

Version = tuple[int, int]
_FORM = re.compile(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,3})")


def text(version: Version) -> str:
    """`2.61`"""
    return f"{version[0]}.{version[1]}"


@dataclass(frozen=True, slots=True)
class Microversions:
    """The range that a service speaks, its word in `OpenStack-API-Version`, and its older header."""

    word: str
    low: Version
    high: Version
    legacy: str = ""

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        """The version asked for; the lowest without a header. Raises `Invalid`: reason `microversion`
        (406) outside the range, `microversion_form` (400) when malformed."""
        asked = self._asked(headers)
        if asked is None:
            return self.low
        if asked == "latest":
            return self.high
        match = _FORM.fullmatch(asked)
        if match is None:
            raise Invalid(
                f"API version string {asked!r} is malformed: it must be of the form MajorNum.MinorNum",
                "microversion_form",
            )
        version = int(match[1]), int(match[2])
        if not self.low <= version <= self.high:
            raise Invalid(
                f"Version {asked} is not supported by the API. "
                f"Minimum is {text(self.low)} and maximum is {text(self.high)}.",
                "microversion",
            )
        return version

    def _asked(self, headers: Mapping[str, str]) -> str | None:
        for part in headers.get("openstack-api-version", "").split(","):
            word, _, value = part.strip().partition(" ")
            if word.lower() == self.word and value:
                return value.strip()
        return headers.get(self.legacy.lower()) if self.legacy else None

    def echo(self, version: Version) -> list[tuple[str, str]]:
        """The headers of every answer."""
        headers = [("OpenStack-API-Version", f"{self.word} {text(version)}"), ("Vary", "OpenStack-API-Version")]
        return headers + ([(self.legacy, text(version)), ("Vary", self.legacy)] if self.legacy else [])
