"""A world of plain data put before the evaluator."""

from __future__ import annotations

import json
import random
from typing import Any

from andromede.errors import Invalid
from andromede.objects.access import AccessRequest, Evaluator
from andromede.objects.access import policy as policies
from andromede.objects.access.acl import Acl, Grant
from andromede.objects.access.public import PublicAccessBlock
from andromede.objects.model import Container, Version
from tests.campaign.isolation import model, worlds
from tests.campaign.isolation.model import OWNER, Ask, World
from tests.support.access import actor, container, version


def acl(raw: dict[str, Any]) -> bytes:
    grants = tuple(Grant(who, permission, who.startswith("http")) for who, permission in raw["grants"])
    return Acl(raw["owner"], grants).dump()


def document(world: World) -> bytes | None:
    """The bucket policy, None where there is none."""
    if not world["policy"]:
        return None
    return json.dumps({"Version": "2012-10-17", "Statement": world["policy"]}).encode()


def acceptable(world: World) -> bool:
    """Would the policy be stored at all? A statement that could never hold is refused when it is put."""
    text = document(world)
    try:
        return text is None or bool(policies.parse(text, "box", OWNER))
    except Invalid:
        return False


def bucket(world: World) -> Container:
    block = PublicAccessBlock(ignore_acls=world["ignore"], restrict_buckets=world["restrict"])
    documents = {"acl": acl(world["acl"]), "public_access_block": block.dump()}
    if (text := document(world)) is not None:
        documents["policy"] = text
    if world["ownership"]:
        documents["ownership"] = world["ownership"].encode()
    return container(documents=documents, x_container_read=world["read"], x_container_write=world["write"])


def thing(world: World, key: str | None) -> Version | None:
    raw = world["object"]
    if raw is None or key is None:
        return None
    return version(raw["owner"], acl(raw["acl"]), raw["tags"])


def request(world: World, ask: Ask, box: Container) -> AccessRequest:
    who = ask["who"]
    caller = None if who is None else actor(who["project"], who["user"], tuple(who["roles"]))
    return AccessRequest(caller, ask["action"], box, ask["key"], thing(world, ask["key"]), ask["context"])


ASKS = 8
"""Questions to each world."""


def differences(rng: random.Random) -> tuple[int, int, list[str]]:
    """(questions, allowed of them, where the two differ) of one random world."""
    world = worlds.world(rng)
    if not acceptable(world):
        return 0, 0, []
    box, evaluator, found, yes = bucket(world), Evaluator(), [], 0
    for _ in range(ASKS):
        ask = worlds.ask(rng)
        decision, expected = evaluator.allowed(request(world, ask, box)), model.allowed(world, ask)
        yes += expected
        if decision.allowed != expected:
            found.append(f"program {decision}, model {expected}\n  {ask}\n  {world}")
    return ASKS, yes, found
