"""CORS rules: checked when put, matched on every request with an Origin.

API reference, "PutBucketCors"; Fetch standard, "CORS protocol".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from andromede.errors import Invalid
from andromede.objects.access.patterns import matches
from andromede.objects.model import Container
from andromede.objects.s3.xml import Node, malformed, parse

ROOT = "CORSConfiguration"
MAX_RULES = 100
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")


@dataclass(frozen=True, slots=True)
class CorsRule:
    """One rule; header patterns are in lower case."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int | None

    def fits(self, origin: str, method: str) -> bool:
        """May scripts of `origin` use `method`?"""
        return method in self.methods and any(_origin(pattern, origin) for pattern in self.origins)

    def permits(self, headers: list[str]) -> bool:
        """May a request carry these headers (lower case)?"""
        return all(any(matches(pattern, name) for pattern in self.headers) for name in headers)


def _origin(pattern: str, origin: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == origin
    return len(origin) >= len(head) + len(tail) and origin.startswith(head) and origin.endswith(tail)


def rules(root: Node) -> tuple[CorsRule, ...]:
    """The rules of a `<CORSConfiguration>`. Raises Invalid."""
    listed = root.only("CORSRule").children
    if not 1 <= len(listed) <= MAX_RULES:
        raise malformed(f"there must be 1 to {MAX_RULES} rules")
    return tuple(_rule(node) for node in listed)


def _rule(node: Node) -> CorsRule:
    node.only("ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds")
    if len(node.value("ID") or "") > 255:
        raise Invalid("the ID of a CORS rule has at most 255 characters", "invalid_request")
    origins = tuple(each.text for each in node.all("AllowedOrigin"))
    methods = tuple(each.text for each in node.all("AllowedMethod"))
    headers = tuple(each.text.lower() for each in node.all("AllowedHeader"))
    exposed = tuple(each.text for each in node.all("ExposeHeader"))
    if not origins or not methods:
        raise malformed("a CORS rule needs an AllowedOrigin and an AllowedMethod")
    for method in methods:
        if method not in METHODS:
            raise Invalid(f"CORS method {method[:32]!r} is not one of {', '.join(METHODS)}", "invalid_request")
    for pattern in origins + headers:
        if pattern.count("*") > 1:
            raise Invalid(f"{pattern[:64]!r} holds more than one wildcard", "invalid_request")
    for name in origins + headers + exposed:
        if not name.isprintable() or not name:
            raise malformed("a value of a CORS rule is empty or holds control characters")
        if not name.isascii():
            raise Invalid(f"{name[:64]!r} cannot stand in an HTTP header", "invalid_request")
    age = node.one("MaxAgeSeconds")
    if age is not None and not re.fullmatch("[0-9]{1,9}", age.text.strip()):
        raise malformed("<MaxAgeSeconds> must be a whole number")
    return CorsRule(origins, methods, headers, exposed, int(age.text) if age is not None else None)


@lru_cache(maxsize=1024)
def _parsed(stored: bytes) -> tuple[CorsRule, ...]:
    return rules(parse(stored, ROOT))


def rules_of(container: Container) -> tuple[CorsRule, ...]:
    """The rules of a container, none when it has no configuration."""
    stored = container.documents.get("cors")
    return _parsed(stored) if stored else ()
