"""The evaluator against a second, deliberately plain model of the same rules, over random worlds."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from andromede.objects.access import AccessRequest, Evaluator
from andromede.objects.access.acl import ALL_USERS, AUTHENTICATED_USERS, Acl, Grant
from andromede.objects.access.public import PublicAccessBlock
from andromede.objects.model import Version
from andromede.web.actor import Actor
from tests.support.access import OTHER, OWNER, actor, container, version

THIRD = "third"
ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketAcl", "s3:PutObjectAcl")
ON_BUCKET = ("s3:ListBucket", "s3:GetBucketAcl")
READS = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl")

callers = st.one_of(
    st.none(),
    st.builds(
        lambda project, user, role: actor(project, user, (role,)),
        st.sampled_from([OWNER, OTHER, THIRD]),
        st.sampled_from(["u1", "u2"]),
        st.sampled_from(["member", "reader", "auditor", "manager"]),
    ),
)
principals = st.sampled_from(
    ["*", {"AWS": "*"}, {"AWS": OTHER}, {"AWS": f"arn:aws:iam::{THIRD}:root"}, {"AWS": f"arn:aws:iam::{OTHER}:user/u2"}]
)
statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": principals,
        "Action": st.lists(st.sampled_from([*ACTIONS, "s3:*", "s3:Get*", "*"]), min_size=1, max_size=2),
        "Resource": st.sampled_from(["arn:aws:s3:::box", "arn:aws:s3:::box/*", "arn:aws:s3:::box/a*", "*"]),
    }
)
grants = st.lists(
    st.builds(
        lambda who, permission: Grant(who, permission, who.startswith("http")),
        st.sampled_from([ALL_USERS, AUTHENTICATED_USERS, OTHER, THIRD]),
        st.sampled_from(["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"]),
    ),
    max_size=3,
)
worlds = st.fixed_dictionaries(
    {
        "policy": st.lists(statements, max_size=3),
        "bucket_grants": grants,
        "object_grants": grants,
        "object_owner": st.sampled_from([None, OWNER, OTHER]),
        "rule": st.sampled_from([None, "BucketOwnerEnforced", "ObjectWriter"]),
        "ignore": st.booleans(),
        "restrict": st.booleans(),
        "read": st.sampled_from(["", ".r:*", ".r:*,.rlistings", f"{OTHER}:u1", f"*:u2,{THIRD}:*"]),
        "write": st.sampled_from(["", f"{OTHER}:*"]),
    }
)


def by_role(who: Actor, action: str) -> bool:
    return bool(who.roles & {"member", "manager"}) or ("reader" in who.roles and action in READS)


def named(principal: Any, who: Actor | None) -> str:
    """How a statement names the caller: "no", "all", "user" or "project"."""
    if principal in ("*", {"AWS": "*"}):
        return "all"
    text = principal["AWS"]
    if who is None:
        return "no"
    if text == f"arn:aws:iam::{OTHER}:user/u2":
        return "user" if (who.project_id, who.user_id) == (OTHER, "u2") else "no"
    project = THIRD if text.endswith(":root") else text
    return "project" if who.project_id == project else "no"


def fits(statement: dict[str, Any], action: str, resource: str) -> bool:
    wanted = statement["Resource"].removeprefix("arn:aws:s3:::")
    return any(fnmatch.fnmatchcase(action.lower(), a.lower()) for a in statement["Action"]) and fnmatch.fnmatchcase(
        resource, wanted
    )


def granted(list_of: list[Grant], who: Actor | None, ignore: bool) -> list[tuple[str, bool]]:
    """(permission, by a group) that the caller holds."""
    found = []
    for grant in list_of:
        if grant.group:
            holds = not ignore and (grant.grantee == ALL_USERS or who is not None)
        else:
            holds = who is not None and who.project_id == grant.grantee
        if holds:
            names = (
                ["READ", "WRITE", "READ_ACP", "WRITE_ACP"] if grant.permission == "FULL_CONTROL" else [grant.permission]
            )
            found += [(name, grant.group) for name in names]
    return found


def swift(world: dict[str, Any], who: Actor | None, action: str) -> bool:
    read, named_by = world["read"], None if who is None else (who.project_id, who.user_id)
    if action in ("s3:GetObject", "s3:ListBucket"):
        if read == f"{OTHER}:u1" and named_by == (OTHER, "u1"):
            return True
        if read.startswith("*:u2") and named_by is not None and (named_by[1] == "u2" or named_by[0] == THIRD):
            return True
        if read.startswith(".r:*") and not world["ignore"]:
            return action == "s3:GetObject" or "rlistings" in read
        return False
    return bool(action in ("s3:PutObject", "s3:DeleteObject") and world["write"] and who and who.project_id == OTHER)


def plain(world: dict[str, Any], who: Actor | None, action: str, key: str | None) -> bool:
    """The rules of the house, one after the other, without haste or cleverness."""
    resource = "box" if key is None else f"box/{key}"
    for statement in world["policy"]:
        if (
            statement["Effect"] == "Deny"
            and named(statement["Principal"], who) != "no"
            and fits(statement, action, resource)
        ):
            return False
    enforced = world["rule"] == "BucketOwnerEnforced"
    owner = world["object_owner"]
    decides = OWNER
    if owner is not None and action in ("s3:GetObject", "s3:PutObjectAcl") and not enforced:
        decides = owner
    if who is not None and who.project_id == decides and by_role(who, action):
        return True
    public = any(s["Effect"] == "Allow" and s["Principal"] in ("*", {"AWS": "*"}) for s in world["policy"])
    inside = who is not None and who.project_id == OWNER
    if not (world["restrict"] and public and not inside):
        for statement in world["policy"]:
            how = named(statement["Principal"], who)
            if statement["Effect"] == "Deny" or how == "no" or not fits(statement, action, resource):
                continue
            if how != "project" or (who is not None and by_role(who, action)):
                return True
    if not enforced:
        on_bucket = {
            "s3:ListBucket": "READ",
            "s3:PutObject": "WRITE",
            "s3:DeleteObject": "WRITE",
            "s3:GetBucketAcl": "READ_ACP",
        }
        on_object = {"s3:GetObject": "READ", "s3:PutObjectAcl": "WRITE_ACP"}
        held = granted(world["bucket_grants"], who, world["ignore"])
        wanted = on_bucket.get(action)
        if owner is not None and action in on_object:
            held, wanted = granted(world["object_grants"], who, world["ignore"]), on_object[action]
        for permission, group in held:
            if permission == wanted and (group or (who is not None and by_role(who, action))):
                return True
    return swift(world, who, action)


def request(world: dict[str, Any], who: Actor | None, action: str, key: str | None) -> AccessRequest:
    documents: dict[str, bytes] = {
        "acl": Acl(OWNER, tuple(world["bucket_grants"])).dump(),
        "public_access_block": PublicAccessBlock(
            ignore_acls=world["ignore"], restrict_buckets=world["restrict"]
        ).dump(),
    }
    if world["policy"]:
        documents["policy"] = json.dumps({"Version": "2012-10-17", "Statement": world["policy"]}).encode()
    if world["rule"]:
        documents["ownership"] = world["rule"].encode()
    box = container(documents=documents, x_container_read=world["read"], x_container_write=world["write"])
    found: Version | None = None
    if world["object_owner"] is not None and key is not None:
        found = version(world["object_owner"], Acl(world["object_owner"], tuple(world["object_grants"])).dump())
    return AccessRequest(who, action, box, key, found)


@settings(max_examples=1500, deadline=None)
@given(worlds, callers, st.sampled_from(ACTIONS), st.sampled_from(["a1", "b"]))
def test_both_say_the_same(world: dict[str, Any], who: Actor | None, action: str, key: str) -> None:
    target = None if action in ON_BUCKET else key
    if target is None:
        world = {**world, "object_owner": None}
    decision = Evaluator().allowed(request(world, who, action, target))
    assert decision.allowed == plain(world, who, action, target), decision.reason


@settings(max_examples=300, deadline=None)
@given(worlds, callers, st.sampled_from(ACTIONS))
def test_what_a_stranger_may_everyone_named_in_the_same_rules_may_too(
    world: dict[str, Any], who: Actor | None, action: str
) -> None:
    """Nothing that is open to anonymous callers is closed to a caller whom no Deny names."""
    world = {**world, "policy": [s for s in world["policy"] if s["Effect"] == "Allow"], "object_owner": None}
    target = None if action in ON_BUCKET else "a1"
    if Evaluator().allowed(request(world, None, action, target)).allowed:
        assert Evaluator().allowed(request(world, who, action, target)).allowed
