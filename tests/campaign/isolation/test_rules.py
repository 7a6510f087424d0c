"""The rules of access against a model that was written for it alone: in the evaluator, and at both doors."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaign.isolation import asking, atdoors, model, worlds
from tests.support.house import House

WORLDS_AT_DOORS = 40


def test_evaluator_and_model_say_the_same_of_many_worlds() -> None:
    rng = random.Random(5)
    for _ in range(1500):
        _, _, found = asking.differences(rng)
        assert found == [], "\n".join(found)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_evaluator_and_model_say_the_same(rng: random.Random) -> None:
    """By hypothesis, which makes what differs small."""
    _, _, found = asking.differences(rng)
    assert found == [], "\n".join(found)


def test_doors_and_model_say_the_same(pair: House) -> None:
    rng, stage = random.Random(9), atdoors.Stage(pair)
    asked = yes = 0
    for _ in range(WORLDS_AT_DOORS):
        count, allowed, found = atdoors.differences(stage, rng)
        asked, yes = asked + count, yes + allowed
        assert found == [], "\n".join(found)
    assert asked >= WORLDS_AT_DOORS and 0.1 < yes / asked < 0.9  # both answers are common


def test_the_generator_reaches_every_part_of_the_rules() -> None:
    """Each rule decides in some world: were one left out of the model, its questions would be answered otherwise."""
    rng = random.Random(3)
    seen = set()
    for _ in range(700):
        world = worlds.world(rng)
        for _ in range(4):
            ask = worlds.ask(rng)
            base = model.allowed(world, ask)
            for part, without in (
                ("policy", {"policy": []}), ("acl", {"acl": {"owner": world["owner"], "grants": []}}),
                ("object", {"object": None}), ("ownership", {"ownership": None}), ("ignore", {"ignore": False}),
                ("restrict", {"restrict": False}), ("read", {"read": ""}), ("write", {"write": ""}),
            ):  # fmt: skip
                if model.allowed({**world, **without}, ask) != base:
                    seen.add((part, base))
    parts = {"policy", "acl", "object", "ownership", "ignore", "restrict", "read", "write"}
    assert {part for part, _ in seen} == parts
    assert {("policy", True), ("policy", False)} <= seen


@pytest.mark.parametrize("key", ["aws:CurrentTime", "aws:UserAgent", "s3:max-keys"])
def test_a_deny_with_a_condition_binds_swift_too(pair: House, key: str) -> None:
    """The Swift door once brought four condition keys only: a Deny on any other bound S3 alone."""
    stage = atdoors.Stage(pair)
    condition = {
        "aws:CurrentTime": {"DateGreaterThanEquals": {key: "2026-01-01T00:00:00Z"}},
        "aws:UserAgent": {"StringLike": {key: "curl*"}},
        "s3:max-keys": {"NumericGreaterThan": {key: "10"}},
    }[key]
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": ["arn:aws:s3:::box", "arn:aws:s3:::box/*"], "Condition": condition,
    }  # fmt: skip
    reader = stage.people[worlds.OWNER, "u2"]
    stage.done("PUT", "/box/a1", "data")
    target = "box?limit=11" if key == "s3:max-keys" else "box/a1"

    def asked() -> int:
        path = f"{reader.account}/{target}"
        return pair.swift(reader, "GET", path, headers={"User-Agent": "curl/8"}).status

    assert asked() == 200
    stage.set({**_plain(stage), "policy": [deny]})
    assert asked() == 403
    stage.done("DELETE", "/box?policy")
    assert asked() == 200


def _plain(stage: atdoors.Stage) -> dict[str, object]:
    own = stage.words[worlds.OWNER]
    acl = {"owner": own, "grants": [[own, "FULL_CONTROL"]]}
    return {
        "acl": acl, "object": {"owner": own, "acl": acl, "tags": {}}, "ownership": None, "ignore": False,
        "restrict": False, "read": "", "write": "",
    }  # fmt: skip
