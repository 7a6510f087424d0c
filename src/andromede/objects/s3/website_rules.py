"""Website configurations: checked when put; index, error page and redirects as values.

API reference, "PutBucketWebsite"; user guide, "Configuring a webpage redirect".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from andromede.errors import Invalid
from andromede.objects.model import Container
from andromede.objects.s3.xml import Node, malformed, parse

ROOT = "WebsiteConfiguration"
MAX_RULES = 50
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to; None keeps that part of the request. At most one of `prefix` and `key` is set."""

    host: str | None = None
    protocol: str | None = None
    code: int = 301
    prefix: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A redirect under a condition; None: any."""

    redirect: Redirect
    when_prefix: str | None = None
    when_status: int | None = None

    def fits(self, key: str, status: int | None) -> bool:
        """Does it apply to this key, before the object is looked for (None) or after an error status?"""
        if self.when_status != status:
            return False
        return self.when_prefix is None or key.startswith(self.when_prefix)

    def target(self, key: str) -> str:
        """The key to send the visitor to."""
        if self.redirect.key is not None:
            return self.redirect.key
        if self.redirect.prefix is not None:
            return self.redirect.prefix + key.removeprefix(self.when_prefix or "")
        return key


@dataclass(frozen=True, slots=True)
class Website:
    """A configuration: either `everything` is redirected, or there is an index suffix."""

    index: str = ""
    error: str | None = None
    everything: Redirect | None = None
    rules: tuple[RoutingRule, ...] = ()

    def route(self, key: str, status: int | None) -> RoutingRule | None:
        """The first rule that applies."""
        return next((rule for rule in self.rules if rule.fits(key, status)), None)


def website(root: Node) -> Website:
    """Check and read a `<WebsiteConfiguration>`. Raises Invalid."""
    root.only("IndexDocument", "ErrorDocument", "RedirectAllRequestsTo", "RoutingRules")
    everything = root.one("RedirectAllRequestsTo")
    if everything is not None:
        if len(root.children) > 1:
            raise Invalid("RedirectAllRequestsTo stands alone in a website configuration", "invalid_request")
        everything.only("HostName", "Protocol")
        return Website(everything=Redirect(_host(everything.need("HostName").text), _protocol(everything)))
    suffix = root.need("IndexDocument").only("Suffix").need("Suffix").text
    if not suffix or "/" in suffix:
        raise Invalid("the index document's suffix must be a name without slashes", "invalid_argument")
    error = root.one("ErrorDocument")
    error_key = error.only("Key").need("Key").text if error is not None else None
    if error_key == "":
        raise Invalid("the error document's key is empty", "invalid_argument")
    listed = root.one("RoutingRules")
    nodes = listed.only("RoutingRule").children if listed is not None else []
    if len(nodes) > MAX_RULES:
        raise Invalid(f"a website has at most {MAX_RULES} routing rules", "invalid_request")
    return Website(suffix, error_key, None, tuple(_rule(node) for node in nodes))


def _rule(node: Node) -> RoutingRule:
    node.only("Condition", "Redirect")
    condition = node.one("Condition")
    prefix: str | None = None
    status: int | None = None
    if condition is not None:
        condition.only("KeyPrefixEquals", "HttpErrorCodeReturnedEquals")
        prefix, code = condition.value("KeyPrefixEquals"), condition.value("HttpErrorCodeReturnedEquals")
        if prefix is None and code is None:
            raise malformed("<Condition> needs a KeyPrefixEquals or an HttpErrorCodeReturnedEquals")
        status = _code(code, "4", "5") if code is not None else None
    target = node.need("Redirect").only(
        "HostName", "HttpRedirectCode", "Protocol", "ReplaceKeyPrefixWith", "ReplaceKeyWith"
    )
    if not target.children:
        raise malformed("<Redirect> must change something")
    host, code = target.value("HostName"), target.value("HttpRedirectCode")
    new_prefix, new_key = target.value("ReplaceKeyPrefixWith"), target.value("ReplaceKeyWith")
    if new_prefix is not None and new_key is not None:
        raise Invalid("a redirect replaces either the key or its prefix, not both", "invalid_request")
    redirect = Redirect(
        _host(host) if host is not None else None,
        _protocol(target),
        _code(code, "3") if code is not None else 301,
        new_prefix,
        new_key,
    )
    return RoutingRule(redirect, prefix, status)


def _code(text: str, *first: str) -> int:
    if not re.fullmatch("[0-9]{3}", text) or not text.startswith(first):
        raise Invalid(f"{text[:16]!r} is no HTTP status of the classes {', '.join(first)}xx", "invalid_request")
    return int(text)


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise Invalid(f"{text[:64]!r} is no host name", "invalid_request")
    return text


def _protocol(node: Node) -> str | None:
    text = node.value("Protocol")
    if text is not None and text not in ("http", "https"):
        raise Invalid("Protocol must be http or https", "invalid_request")
    return text


@lru_cache(maxsize=1024)
def _parsed(stored: bytes) -> Website:
    return website(parse(stored, ROOT))


def website_of(container: Container) -> Website | None:
    """The configuration of a container, None when it is no website."""
    stored = container.documents.get("website")
    return _parsed(stored) if stored else None
