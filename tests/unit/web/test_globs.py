"""Patterns of access rules."""

from __future__ import annotations

import time

import pytest

from andromede.web.actor import Actor
from andromede.web.globs import fits


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/v2/servers", "/v2/servers", True),
        ("/v2/servers", "/v2/servers/", False),
        ("/v2/*", "/v2/servers", True),
        ("/v2/*", "/v2/", True),
        ("/v2/*", "/v2/servers/1", False),
        ("/v2/**", "/v2/servers/1", True),
        ("/v2/**/action", "/v2/servers/1/action", True),
        ("/v2/{id}/x", "/v2/abc/x", True),
        ("/v2/{id}/x", "/v2//x", False),
        ("/v2/{id}", "/v2/a/b", False),
        ("/a.b", "/axb", False),
        ("/*.txt", "/note.txt", True),
        ("", "", True),
        ("/**", "/" + "x" * 5000, False),
        ("/{", "/{", True),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert fits(pattern, path) is expected


def test_a_hostile_pattern_costs_little() -> None:
    start = time.monotonic()
    assert fits("/" + "**a*a" * 25, "/" + "a" * 2000 + "!") is False
    assert time.monotonic() - start < 5


def test_an_actor_without_rules_is_covered() -> None:
    assert Actor("u", "u", "d").covers("x", "GET", "/")
    bound = Actor("u", "u", "d", access_rules=(("image", "GET", "/v2/**"),))
    assert bound.covers("image", "GET", "/v2/images/1")
    assert not bound.covers("image", "DELETE", "/v2/images/1")
    assert not bound.covers("volume", "GET", "/v2/images/1")
