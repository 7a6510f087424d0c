"""The same worlds before the real doors: documents are put by their owner, requests come signed or with tokens."""

from __future__ import annotations

import json
import random
import re
from typing import Any
from urllib.parse import quote

from tests.campaign.isolation import model, worlds
from tests.campaign.isolation.asking import acceptable
from tests.campaign.isolation.model import OWNER, Ask, World
from tests.campaign.isolation.turns import OWNERSHIP
from tests.campaign.isolation.worlds import OTHER, THIRD
from tests.support.cloud import Answer
from tests.support.house import House, Person

ROLES = {"u1": "member", "u2": "reader", "u3": "manager", "u4": "auditor"}
"""Four users; each has its role on every one of the three projects."""
ASKS = 10
BLOCK = (
    "<PublicAccessBlockConfiguration><IgnorePublicAcls>{}</IgnorePublicAcls><RestrictPublicBuckets>{}"
    "</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
)
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type='
DENIED = (401, 403)
SUBRESOURCES = {"s3:GetBucketAcl": "acl", "s3:GetObjectAcl": "acl", "s3:GetObjectTagging": "tagging"}


class Stage:
    """Three projects, twelve persons and one bucket, whose documents change from world to world: nothing that a
    process keeps of the last one may show."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.words = {name: house.project(f"project-{name}") for name in (OWNER, OTHER, THIRD)}
        self.people: dict[tuple[str, str], Person] = {}
        for user, role in ROLES.items():
            self.words[user] = house.world.person(f"name-{user}")
            for project in (OWNER, OTHER, THIRD):
                house.world.grant(role, self.words[user], project=self.words[project])
                self.people[project, user] = house.enter(self.words[user], self.words[project])
        self.owner = self.people[OWNER, "u3"]
        self.done("PUT", "/box")

    def real(self, raw: Any) -> Any:
        """Plain data with the ids of this installation for the names of the generator."""
        text = json.dumps(raw)
        for word, value in self.words.items():
            text = re.sub(rf"(?<![\w-]){word}(?!\w)", value, text)
        return json.loads(text)

    def done(self, method: str, target: str, body: str = "", **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.house.s3(self.owner, method, target, body.encode(), given, worker=0)
        assert answer.status < 300, (method, target, answer.status, answer.raw)
        return answer

    def set(self, world: World) -> None:
        """Bring bucket and object to a world."""
        self.done("DELETE", "/box?policy")
        self.done("DELETE", "/box?publicAccessBlock")
        self.done("DELETE", "/box?ownershipControls")
        private: dict[str, Any] = {"owner": self.words[OWNER], "grants": [[self.words[OWNER], "FULL_CONTROL"]]}
        if world["object"] is not None:
            owner = next(who for who in self.people.values() if who.project_id == world["object"]["owner"])
            writer = self.people[OWNER if owner.project_id == self.words[OWNER] else OTHER, "u3"]
            self.done(
                "PUT", "/box?acl", self._acl({"owner": self.words[OWNER], "grants": [[self.words[OTHER], "WRITE"]]})
            )
            self._by(writer, "PUT", "/box/a1", "data")
            self._by(writer, "PUT", "/box/a1?acl", self._acl(world["object"]["acl"]))
            tags = "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in world["object"]["tags"].items())
            self.done("PUT", "/box/a1?tagging", f"<Tagging><TagSet>{tags}</TagSet></Tagging>")
        else:
            self.done("DELETE", "/box/a1")
        enforced = world["ownership"] == "BucketOwnerEnforced"  # which only a private bucket may become
        self.done("PUT", "/box?acl", self._acl(private if enforced else world["acl"]))
        headers = {"X-Container-Read": world["read"], "X-Container-Write": world["write"]}
        answer = self.house.swift(self.owner, "POST", f"{self.owner.account}/box", headers=headers)
        assert answer.status == 204, answer.raw
        if world["ownership"]:
            self.done("PUT", "/box?ownershipControls", OWNERSHIP.format(rule=world["ownership"]))
        block = BLOCK.format(*(str(world[name]).lower() for name in ("ignore", "restrict")))
        self.done("PUT", "/box?publicAccessBlock", block)
        if world["policy"]:  # last: a Deny may bind its maker too, who keeps the policy itself
            self.done("PUT", "/box?policy", json.dumps({"Version": "2012-10-17", "Statement": world["policy"]}))

    def _by(self, who: Person, method: str, target: str, body: str) -> None:
        answer = self.house.s3(who, method, target, body.encode())
        assert answer.status < 300, (method, target, answer.status, answer.raw)

    @staticmethod
    def _acl(raw: dict[str, Any]) -> str:
        rows = []
        for grantee, permission in raw["grants"]:
            kind, tag = ("Group", "URI") if grantee.startswith("http") else ("CanonicalUser", "ID")
            rows.append(
                f'<Grant><Grantee {XSI}"{kind}"><{tag}>{grantee}</{tag}></Grantee>'
                f"<Permission>{permission}</Permission></Grant>"
            )
        owner = f"<Owner><ID>{raw['owner']}</ID></Owner>"
        return (
            f"<AccessControlPolicy>{owner}<AccessControlList>{''.join(rows)}</AccessControlList></AccessControlPolicy>"
        )

    def ask(self, rng: random.Random) -> tuple[Ask, str, str, Any]:
        """(question to the model, door, person, what to send) of a request that changes nothing that is asked."""
        who = None if rng.random() < 0.25 else rng.choice(sorted(self.people))
        action = rng.choice(("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:GetBucketAcl", "s3:GetObjectTagging",
                             "s3:GetObjectAcl", "s3:GetObject", "s3:ListBucket"))  # fmt: skip
        door = rng.choice(("s3", "swift")) if action in ("s3:GetObject", "s3:ListBucket", "s3:PutObject") else "s3"
        referer, prefix, limit = (
            rng.choice(worlds.REFERERS),
            rng.choice((None, "a", "dir/", "u1")),
            rng.choice((None, "10")),
        )
        now = self.house.clock.now_us() // 1_000_000
        context: dict[str, Any] = {
            "aws:SourceIp": "192.0.2.1", "aws:SecureTransport": "false", "aws:CurrentTime": "2026-01-01T00:00:00Z",
            "aws:EpochTime": str(now),
        }  # fmt: skip
        if referer:
            context["aws:Referer"] = referer
        query = {}
        if action == "s3:ListBucket":
            if prefix is not None:
                query["prefix"] = context["s3:prefix"] = self.real(prefix)
            if limit is not None:
                query["max-keys" if door == "s3" else "limit"] = context["s3:max-keys"] = limit
        key = {"s3:ListBucket": None, "s3:GetBucketAcl": None, "s3:PutObject": "dir/new"}.get(action, "a1")
        caller = None
        if who is not None:
            person = self.people[who]
            roles = {"manager": ["manager", "member", "reader"], "member": ["member", "reader"]}
            role = ROLES[who[1]]
            caller = {"project": person.project_id, "user": person.user_id, "roles": roles.get(role, [role]),
                      "name": f"name-{who[1]}"}  # fmt: skip
        asked = {"who": caller, "action": action, "key": key, "context": context}
        return asked, door, "" if who is None else "/".join(who), (who, query, referer)

    def send(self, asked: Ask, door: str, sent: Any, worker: int) -> Answer:
        who, query, referer = sent
        person = None if who is None else self.people[who]
        headers = {"Referer": referer} if referer else {}
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        sub = {"s3:GetBucketAcl": "acl", "s3:GetObjectAcl": "acl", "s3:GetObjectTagging": "tagging"}.get(
            asked["action"]
        )
        tail = f"?{sub or pairs}" if sub or pairs else ""
        method, body = ("PUT", b"new") if asked["action"] == "s3:PutObject" else ("GET", b"")
        path = "box" + (f"/{asked['key']}" if asked["key"] else "")
        if door == "s3":
            return self.house.s3(person, method, f"/{path}{tail}", body, headers, worker)
        return self.house.swift(person, method, f"{self.owner.account}/{path}{tail}", body, headers, worker)


def differences(stage: Stage, rng: random.Random) -> tuple[int, int, list[str]]:
    """(questions, allowed of them, where door and model differ) of one random world at the doors."""
    raw = worlds.world(rng)
    if not acceptable(raw):
        return 0, 0, []
    world = stage.real(raw)
    stage.set(world)
    found, yes = [], 0
    for _ in range(ASKS):
        asked, door, who, sent = stage.ask(rng)
        facing = {**world, "object": world["object"] if asked["key"] == "a1" else None}
        question = asked
        if asked["key"] == "a1" and world["object"] is None and door == "s3":
            # of what is absent S3 says so to those who may list it, and refuses all others
            looking = {**asked["context"], "s3:prefix": "a1"}
            question = {**asked, "action": "s3:ListBucket", "key": None, "context": looking}
        expected = model.allowed(facing, question)
        answer = stage.send(asked, door, sent, rng.randrange(len(stage.house.workers)))
        yes += expected
        if (answer.status not in DENIED) != expected:
            found.append(f"{door} {answer.status} {answer.raw[:200]!r}, model {expected}\n  {who} {asked}\n  {world}")
    return ASKS, yes, found
