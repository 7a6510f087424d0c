"""The evaluator: order of its rules, and each source of a right."""

from __future__ import annotations

import pytest

from andromede.errors import Denied, Error
from andromede.objects.access import AccessRequest, Evaluator, Narrowing
from andromede.objects.access.acl import ALL_USERS, AUTHENTICATED_USERS, Acl, Grant, canned
from andromede.objects.access.explain import answer, explain
from andromede.objects.access.ownership import upload_owner
from andromede.objects.access.public import PublicAccessBlock
from tests.support.access import OTHER, OWNER, actor, container, policy, version

EVALUATOR = Evaluator()


def can(request: AccessRequest) -> bool:
    return Evaluator().allowed(request).allowed


@pytest.mark.parametrize(
    ("roles", "reads", "writes"),
    [
        (("member",), True, True),
        (("manager",), True, True),
        (("admin",), True, True),
        (("reader",), True, False),
        (("auditor",), False, False),
        ((), False, False),
    ],
)
def test_roles_in_the_owner_project(roles: tuple[str, ...], reads: bool, writes: bool) -> None:
    who = actor(roles=roles)
    assert can(AccessRequest(who, "s3:GetObject", container(), "k", version())) is reads
    assert can(AccessRequest(who, "s3:ListBucket", container())) is reads
    assert can(AccessRequest(who, "s3:PutObject", container(), "k")) is writes
    assert can(AccessRequest(who, "s3:PutBucketPolicy", container())) is writes


def test_strangers_and_anonymous_get_nothing_by_default() -> None:
    for who in (None, actor(OTHER), actor(None)):
        for action in ("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:GetBucketAcl"):
            assert not can(AccessRequest(who, action, container(), "k", version()))


def test_reseller_admin_reaches_every_account() -> None:
    assert can(AccessRequest(actor(OTHER, roles=("ResellerAdmin",)), "s3:PutObject", container(), "k"))


def test_deny_beats_the_owner_but_leaves_the_policy_to_managers() -> None:
    box = container(documents={"policy": policy({"Effect": "Deny"})})
    assert not can(AccessRequest(actor(), "s3:GetObject", box, "k", version()))
    assert not can(AccessRequest(actor(), "s3:PutBucketPolicy", box))
    assert can(AccessRequest(actor(roles=("manager",)), "s3:PutBucketPolicy", box))
    assert not can(AccessRequest(actor(roles=("manager",)), "s3:PutObject", box, "k"))


def test_policy_allows_named_projects_by_their_roles_and_named_users_directly() -> None:
    project = container(documents={"policy": policy({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}})})
    assert can(AccessRequest(actor(OTHER), "s3:PutObject", project, "k"))
    assert not can(AccessRequest(actor(OTHER, roles=("reader",)), "s3:PutObject", project, "k"))
    assert can(AccessRequest(actor(OTHER, roles=("reader",)), "s3:GetObject", project, "k"))
    assert not can(AccessRequest(None, "s3:GetObject", project, "k"))
    user = container(
        generation=2, documents={"policy": policy({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:user/u7"}})}
    )
    assert can(AccessRequest(actor(OTHER, "u7", ()), "s3:GetObject", user, "k"))
    assert not can(AccessRequest(actor(OTHER, "u8"), "s3:GetObject", user, "k"))


def test_not_principal_in_a_deny_spares_the_named() -> None:
    box = container(documents={"policy": policy({"Effect": "Deny", "NotPrincipal": {"AWS": OWNER}})})
    assert can(AccessRequest(actor(), "s3:GetObject", box, "k"))
    assert not can(AccessRequest(actor(OTHER, roles=("ResellerAdmin",)), "s3:GetObject", box, "k"))


def test_acl_of_the_bucket_lists_and_writes_and_that_of_the_object_reads() -> None:
    acl = Acl(OWNER, (Grant(ALL_USERS, "READ", True), Grant(AUTHENTICATED_USERS, "WRITE", True)))
    box = container(documents={"acl": acl.dump()})
    assert can(AccessRequest(None, "s3:ListBucket", box))
    assert not can(AccessRequest(None, "s3:PutObject", box, "k"))
    assert can(AccessRequest(actor(OTHER, roles=()), "s3:PutObject", box, "k"))
    assert not can(AccessRequest(None, "s3:GetObject", box, "k", version()))
    open_object = version(acl=Acl(OWNER, (Grant(ALL_USERS, "READ", True),)).dump())
    assert can(AccessRequest(None, "s3:GetObject", container(), "k", open_object))
    assert not can(AccessRequest(None, "s3:GetObjectAcl", container(), "k", open_object))


def test_a_writer_owns_its_object_unless_ownership_is_enforced() -> None:
    theirs = version(OTHER)
    box = container()
    assert not can(AccessRequest(actor(), "s3:GetObject", box, "k", theirs))
    assert can(AccessRequest(actor(), "s3:DeleteObject", box, "k", theirs))
    assert can(AccessRequest(actor(OTHER), "s3:GetObjectAcl", box, "k", theirs))
    enforced = container(generation=2, documents={"ownership": b"BucketOwnerEnforced"})
    assert can(AccessRequest(actor(), "s3:GetObject", enforced, "k", theirs))
    assert not can(AccessRequest(actor(OTHER), "s3:GetObject", enforced, "k", theirs))
    assert upload_owner(enforced, actor(OTHER), None) == OWNER
    assert upload_owner(box, actor(OTHER), None) == OTHER
    assert upload_owner(box, None, None) == OWNER
    preferred = container(documents={"ownership": b"BucketOwnerPreferred"})
    assert upload_owner(preferred, actor(OTHER), "bucket-owner-full-control") == OWNER
    assert upload_owner(preferred, actor(OTHER), "private") == OTHER


def test_the_public_access_block_drops_public_grants_of_all_three_kinds() -> None:
    acl = Acl(OWNER, (Grant(ALL_USERS, "READ", True), Grant(OTHER, "READ"))).dump()
    ignoring = PublicAccessBlock(ignore_acls=True).dump()
    documents = {"acl": acl, "public_access_block": ignoring}
    box = container(documents=documents, x_container_read=".r:*,.rlistings")
    assert not can(AccessRequest(None, "s3:ListBucket", box))
    assert not can(AccessRequest(None, "s3:GetObject", box, "k"))
    assert can(AccessRequest(actor(OTHER), "s3:ListBucket", box))
    restricted = {"policy": policy({}), "public_access_block": PublicAccessBlock(restrict_buckets=True).dump()}
    assert not can(AccessRequest(actor(OTHER), "s3:GetObject", container(generation=3, documents=restricted), "k"))
    assert can(
        AccessRequest(actor(OTHER), "s3:GetObject", container(generation=4, documents={"policy": policy({})}), "k")
    )


@pytest.mark.parametrize(
    ("acl", "referrer", "reads", "lists"),
    [
        (".r:*", None, True, False),
        (".r:*,.rlistings", None, True, True),
        (".r:.example.com", "http://www.example.com/x", True, False),
        (".r:.example.com", "http://example.org/", False, False),
        (".r:*,.r:-bad.example", "https://bad.example/", False, False),
        (".r:-bad.example,.r:*", "https://bad.example/", True, False),
        (".rlistings", None, False, False),
        (".r:.example.com", "http://[broken", False, False),
    ],
)
def test_swift_referrers(acl: str, referrer: str | None, reads: bool, lists: bool) -> None:
    box = container(x_container_read=acl)
    context = {"aws:Referer": referrer} if referrer else {}
    assert can(AccessRequest(None, "s3:GetObject", box, "k", context=context)) is reads
    assert can(AccessRequest(None, "s3:ListBucket", box, context=context)) is lists


def test_swift_members() -> None:
    box = container(x_container_read=f"{OTHER}:u1", x_container_write="*:u2,operators")
    assert can(AccessRequest(actor(OTHER, "u1", ()), "s3:ListBucket", box))
    assert not can(AccessRequest(actor(OTHER, "u3", ()), "s3:GetObject", box, "k"))
    assert can(AccessRequest(actor(OTHER, "u2", ()), "s3:PutObject", box, "k"))
    assert not can(AccessRequest(actor(OTHER, "u2", ()), "s3:PutBucketAcl", box))
    assert can(AccessRequest(actor(OWNER, "u9", ("operators",)), "s3:DeleteObject", box, "k"))
    assert not can(AccessRequest(actor(OTHER, "u9", ("operators",)), "s3:DeleteObject", box, "k"))


def test_a_narrowed_signature_only_loses_rights() -> None:
    scope = Narrowing(OWNER, "box", "dir/", True, frozenset({"s3:GetObject"}))
    assert can(AccessRequest(actor(), "s3:GetObject", container(), "dir/a", narrowing=scope))
    assert not can(AccessRequest(actor(), "s3:GetObject", container(), "other", narrowing=scope))
    assert not can(AccessRequest(actor(), "s3:PutObject", container(), "dir/a", narrowing=scope))
    assert not can(AccessRequest(actor(), "s3:GetObject", container("else"), "dir/a", narrowing=scope))
    assert not can(AccessRequest(actor(), "s3:ListBucket", container(), narrowing=scope))
    assert not can(AccessRequest(actor(OTHER), "s3:GetObject", container(), "dir/a", narrowing=scope))


def test_tags_of_object_and_request_take_part() -> None:
    condition = {"StringEquals": {"s3:ExistingObjectTag/security": "public"}}
    box = container(documents={"policy": policy({"Condition": condition})})
    assert can(AccessRequest(None, "s3:GetObject", box, "k", version(tags={"security": "public"})))
    assert not can(AccessRequest(None, "s3:GetObject", box, "k", version(tags={"Security": "public"})))
    assert not can(AccessRequest(None, "s3:GetObject", box, "k", version()))


def test_require_says_what_and_why() -> None:
    with pytest.raises(Denied, match="s3:GetObject on box/k is denied") as caught:
        EVALUATOR.require(AccessRequest(None, "s3:GetObject", container(), "k"))
    assert caught.value.reason == "access"
    EVALUATOR.require(AccessRequest(actor(), "s3:GetObject", container(), "k"))


def test_log_delivery_needs_the_policy() -> None:
    allow = {"Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject"}
    box = container(documents={"policy": policy(allow)})
    assert can(AccessRequest(None, "s3:PutObject", box, "log", service="logging.s3.amazonaws.com"))
    assert not can(AccessRequest(None, "s3:PutObject", box, "log"))
    assert not can(AccessRequest(None, "s3:GetObject", box, "log", service="logging.s3.amazonaws.com"))


def test_explain_names_every_rule_and_document() -> None:
    acl = canned("public-read", OWNER, OWNER)
    assert acl is not None
    documents = {"policy": policy({"Effect": "Deny", "Sid": "NoOne", "Action": "s3:PutObject"}), "acl": acl.dump()}
    box = container(generation=9, documents=documents, x_container_read=".r:*")
    text = "\n".join(explain(EVALUATOR, AccessRequest(actor(), "s3:PutObject", box, "k", version())))
    assert "Deny of the bucket policy: denies: a Deny statement 'NoOne'" in text
    assert "(already decided above)" in text
    assert "verdict: denied" in text
    assert "READ to AllUsers" in text
    assert "x-container-read: .r:*" in text


def test_the_answer_for_operators_covers_every_scope() -> None:
    box = container(generation=10, documents={"policy": policy({"Principal": {"AWS": OTHER}})})
    about = (box, "k", None)
    scopes = [("project one", actor()), ("project two", actor(OTHER, roles=("reader",))), ("nowhere", None)]
    found = answer("vera", scopes, "s3:getobject", about)
    assert (found["allowed"], found["action"], found["resource"]) == (True, "s3:GetObject", "box/k")
    assert [line for line in found["because"] if line.startswith("in ")] == [
        "in project one:",
        "in project two:",
        "in nowhere:",
    ]
    assert answer("vera", scopes[1:], "s3:PutObject", about)["allowed"] is False
    assert answer("vera", [], "s3:PutObject", about)["rule"] == "the user holds no role anywhere"
    for action, target in (("s3:Fly", about), ("s3:ListBucket", about), ("s3:GetObject", (box, None, None))):
        with pytest.raises(Error):
            answer("vera", scopes, action, target)


def test_a_policy_that_cannot_be_read_any_more_opens_nothing() -> None:
    box = container(generation=11, documents={"policy": b"{broken"}, x_container_read=".r:*")
    assert not can(AccessRequest(None, "s3:GetObject", box, "k"))
    assert not can(AccessRequest(actor(), "s3:GetObject", box, "k"))
    assert can(AccessRequest(actor(roles=("manager",)), "s3:PutBucketPolicy", box))
