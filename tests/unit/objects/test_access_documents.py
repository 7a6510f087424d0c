"""Bucket policies, conditions, ACLs and public-ness."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andromede.errors import Invalid
from andromede.objects.access import AccessRequest, Evaluator, swiftacl
from andromede.objects.access.acl import CANNED, Acl, Grant, canned, load, private
from andromede.objects.access.conditions import split_operator
from andromede.objects.access.keys import KNOWN, known, request_keys
from andromede.objects.access.patterns import matches
from andromede.objects.access.policy import MAX_BYTES, parse
from andromede.objects.access.public import PublicAccessBlock, policy_is_public
from andromede.objects.access.public import load as load_block
from tests.support.access import OTHER, OWNER, actor, container, policy


def holds(condition: dict[str, Any], **context: str | tuple[str, ...]) -> bool:
    box = container(documents={"policy": policy({"Condition": condition})})
    keys = {name.replace("__", ":").replace("_", "-"): value for name, value in context.items()}
    return Evaluator().allowed(AccessRequest(None, "s3:GetObject", box, "k", context=keys)).allowed


@pytest.mark.parametrize(
    ("operator", "want", "have", "expected"),
    [
        ("StringEquals", "a*", "ab", False),
        ("StringLike", "a*", "ab", True),
        ("StringNotLike", "a*", "ab", False),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringEqualsIgnoreCase", "AB", "ab", True),
        ("StringNotEqualsIgnoreCase", "AB", "ab", False),
        ("NumericLessThan", "10", "9.5", True),
        ("NumericLessThanEquals", 9, "9", True),
        ("NumericGreaterThan", "9", "10", True),
        ("NumericGreaterThanEquals", "11", "10", False),
        ("NumericEquals", "9", "nine", False),
        ("NumericNotEquals", "9", "10", True),
        ("BinaryEquals", "YWI=", "YWI=", True),
        ("BinaryEquals", "YWI=", "???", False),
    ],
)
def test_operators(operator: str, want: Any, have: str, expected: bool) -> None:
    assert holds({operator: {"s3:max-keys": want}}, s3__max_keys=have) is expected


@pytest.mark.parametrize(
    ("operator", "want", "have", "expected"),
    [
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "10.0.0.0/8", "11.1.2.3", False),
        ("IpAddress", "10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("NotIpAddress", ["10.0.0.0/8", "::1"], "::1", False),
        ("IpAddress", "2001:db8::/32", "not an address", False),
    ],
)
def test_addresses(operator: str, want: Any, have: str, expected: bool) -> None:
    assert holds({operator: {"aws:SourceIp": want}}, aws__SourceIp=have) is expected


def test_dates_booleans_and_arns() -> None:
    assert holds(
        {"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, aws__CurrentTime="2026-11-21T00:00:00Z"
    )
    assert not holds({"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}, aws__CurrentTime="2026-11-21T00:00:00Z")
    assert holds({"DateEquals": {"aws:EpochTime": "1764000000"}}, aws__EpochTime="1764000000")
    assert holds({"DateNotEquals": {"aws:EpochTime": "1764000000"}}, aws__EpochTime="1764000001")
    assert holds({"Bool": {"aws:SecureTransport": True}}, aws__SecureTransport="true")
    assert holds({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, aws__SourceArn="arn:aws:s3:::box")
    assert not holds({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*"}}, aws__SourceArn="arn:aws:s3:::box")
    assert holds({"ArnNotEquals": {"aws:SourceArn": "arn:aws:s3:::a"}}, aws__SourceArn="arn:aws:s3:::box")


def test_absent_keys() -> None:
    assert not holds({"StringLike": {"aws:Referer": "*"}})
    assert holds({"StringLikeIfExists": {"aws:Referer": "x"}})
    assert holds({"StringNotEquals": {"aws:Referer": "x"}})
    assert holds({"Null": {"aws:Referer": "true"}})
    assert not holds({"Null": {"aws:Referer": True}}, aws__Referer="x")
    assert holds({"Null": {"aws:Referer": "false"}}, aws__Referer="x")


def test_quantifiers() -> None:
    keys = ("a", "b")
    assert holds({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["b", "c"]}}, s3__RequestObjectTagKeys=keys)
    assert not holds(
        {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["b", "c"]}}, s3__RequestObjectTagKeys=keys
    )
    assert holds({"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": "?"}}, s3__RequestObjectTagKeys=keys)
    assert holds({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": "c"}})
    assert not holds({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": "c"}})
    assert not holds({"StringNotEquals": {"s3:RequestObjectTagKeys": "a"}}, s3__RequestObjectTagKeys=keys)


def test_variables_are_literal_text() -> None:
    statement = {"Principal": {"AWS": "*"}, "Resource": "arn:aws:s3:::box/home/${aws:username}/*"}
    box = container(documents={"policy": policy(statement)})

    def can(user: str, key: str) -> bool:
        return Evaluator().allowed(AccessRequest(actor(OTHER, user), "s3:GetObject", box, key)).allowed

    assert can("u1", "home/name-u1/x")
    assert not can("u1", "home/name-u2/x")
    assert not can("*", "home/name-u2/x")
    assert not Evaluator().allowed(AccessRequest(None, "s3:GetObject", box, "home//x")).allowed
    assert holds({"StringEquals": {"s3:prefix": "${$}{a}${aws:nobody, 'd'}*"}}, s3__prefix="${a}d*")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ({"Effect": "allow"}, "Effect"),
        ({"Principal": {}}, "Principal"),
        ({"Principal": {"AWS": []}}, "Principal"),
        ({"Principal": {"AWS": "arn:aws:iam::x:group/y"}}, ":root or :user"),
        ({"Principal": {"AWS": "not ok"}}, "neither an ARN"),
        ({"Principal": {"Federated": "x"}}, "unknown kind"),
        ({"NotPrincipal": "*"}, "NotPrincipal"),
        ({"Action": "s3:Fly"}, "no action"),
        ({"Action": 7}, "Action"),
        ({"Resource": "arn:aws:s3:::other/*"}, "cannot match"),
        ({"Resource": "arn:aws:s3:::boxes"}, "cannot match"),
        ({"Resource": "box/*"}, "must begin"),
        ({"Condition": {"StringRhymes": {"aws:Referer": "x"}}}, "unknown condition operator"),
        ({"Condition": {"For:StringEquals": {"aws:Referer": "x"}}}, "unknown condition operator"),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "x"}}}, "not one that requests carry"),
        ({"Condition": {"NumericEquals": {"s3:max-keys": "many"}}}, "a number"),
        ({"Condition": {"DateEquals": {"aws:CurrentTime": "soon"}}}, "ISO 8601"),
        ({"Condition": {"Bool": {"aws:SecureTransport": "perhaps"}}}, "true or false"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/99"}}}, "CIDR"),
        ({"Condition": {"StringEquals": {"aws:Referer": None}}}, "must be strings"),
        ({"Condition": {"StringEquals": {}}}, "must hold keys"),
        ({"Condition": []}, "must be an object"),
        ({"Frobnicate": 1}, "unknown field"),
        ({"Sid": 1}, "Sid"),
    ],
)
def test_bad_statements_are_refused_with_the_reason(statement: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        parse(policy(statement), "box", OWNER)
    assert caught.value.reason == "malformed_policy"


@pytest.mark.parametrize(
    "document",
    [
        b"", b"[]", b"{", b"{}", b'{"Statement": []}', b'{"Statement": [1]}', b'{"Version": "1999", "Statement": {}}',
        b'{"Statement": [], "Statement": []}', b'{"Id": 1, "Statement": {}}', b'{"Extra": 1}', b"\xff\xfe",
        b"[" * 9000, b" " * (MAX_BYTES + 1), b'{"Statement": NaN}',
    ],
)  # fmt: skip
def test_bad_documents_are_refused(document: bytes) -> None:
    with pytest.raises(Invalid):
        parse(document, "box", OWNER)


def test_resources_of_this_bucket_only() -> None:
    for pattern in (
        "arn:aws:s3:::*",
        "*",
        "arn:aws:s3:::b*",
        "arn:aws:s3:::box/a?",
        f"arn:aws:s3::{OWNER}:box",
        "arn:aws:s3:::bo?",
    ):
        assert parse(policy({"Resource": pattern}), "box", OWNER).statements


def test_public_policies() -> None:
    def public(**statement: Any) -> bool:
        return policy_is_public(parse(policy(statement), "box", OWNER))

    assert public()
    assert public(Principal={"AWS": "*"})
    assert not public(Effect="Deny")
    assert not public(Principal={"AWS": f"arn:aws:iam::{OTHER}:root"})
    assert not public(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/32"}})
    assert public(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})
    assert public(Condition={"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/32"}})
    assert public(Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/32"}})
    assert public(Condition={"StringLike": {"aws:Referer": "http://x/*"}})
    assert public(Condition={"StringLike": {"aws:userid": "*"}})
    assert not public(Condition={"StringEquals": {"aws:userid": "u1"}})


def test_canned_acls_and_their_stored_form() -> None:
    for name in CANNED:
        acl = canned(name, OTHER, OWNER)
        assert acl is not None
        assert load(acl.dump()) == acl
        assert Grant(OTHER, "FULL_CONTROL") in acl.grants
    assert canned("public", OTHER, OWNER) is None
    assert canned("bucket-owner-read", OTHER, OWNER) == Acl(OTHER, (Grant(OTHER, "FULL_CONTROL"), Grant(OWNER, "READ")))
    assert canned("bucket-owner-read", OWNER, OWNER) == private(OWNER)
    assert [a for a in CANNED if canned(a, OTHER, OWNER).public] == [
        "public-read",
        "public-read-write",
        "authenticated-read",
    ]  # type: ignore[union-attr]


def test_block_round_trip() -> None:
    block = PublicAccessBlock(True, False, True, False)
    assert load_block(block.dump()) == block
    assert load_block(None) == PublicAccessBlock()
    assert dict(block.items())["BlockPublicPolicy"] is True


def test_swift_lists_are_cleaned_or_refused() -> None:
    assert swiftacl.cleaned(" .ref : .example.com , .rlistings,  a:b ") == ".r:.example.com,.rlistings,a:b"
    assert swiftacl.cleaned(".referrer:*.example.com,.r:- bad") == ".r:.example.com,.r:-bad"
    for text, write in (
        (".r:*", True),
        (".rlistings", True),
        (".what:x", False),
        (".r:", False),
        (".r:-", False),
        ("x" * 9000, False),
    ):
        with pytest.raises(Invalid):
            swiftacl.parse(text, write=write)
    assert swiftacl.load(".what:x") == swiftacl.SwiftAcl()
    assert swiftacl.load(".r:*").public
    assert not swiftacl.load(".r:-x,a:b").public


def test_operator_names() -> None:
    assert split_operator("ForAnyValue:StringLikeIfExists") == ("StringLike", "ForAnyValue", True)
    assert split_operator("NullIfExists") is None
    assert split_operator("ForAnyValue:Null") is None
    assert json.dumps(split_operator("Null")) == '["Null", "", false]'


def test_the_documentation_names_every_condition_key_and_no_other() -> None:
    text = (Path(__file__).parents[3] / "docs" / "access.md").read_text(encoding="utf-8")
    table = text[text.index("| where from |") : text.index("A policy counts as public")]
    written = set(re.findall(r"`((?:aws|s3):[^`]+)`", table))
    assert {key.lower() for key in written if "<key>" not in key} == set(KNOWN)
    assert {key.lower() for key in written if "<key>" in key} == {
        "s3:existingobjecttag/<key>",
        "s3:requestobjecttag/<key>",
    }


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["*", "s3:*", "Allow", "arn:aws:s3:::box/*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"]
)


@given(st.dictionaries(fields, json_values, max_size=6), json_values)
def test_any_policy_is_judged_and_what_is_kept_can_be_evaluated(statement: dict[str, Any], root: Any) -> None:
    base = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    for document in (root, {"Statement": root}, {"Statement": {**base, **statement}}):
        raw = json.dumps(document).encode()
        try:
            parse(raw, "box", OWNER)
        except Invalid:
            continue
        box = container(documents={"policy": raw})
        for who in (None, actor(OTHER)):
            Evaluator().allowed(AccessRequest(who, "s3:GetObject", box, "k"))


@given(st.text(max_size=60))
def test_any_swift_list_is_judged(text: str) -> None:
    try:
        cleaned = swiftacl.cleaned(text)
    except Invalid:
        return
    assert swiftacl.cleaned(cleaned) == cleaned


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_agree_with_a_plain_matcher(pattern: str, text: str) -> None:
    def plain(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return plain(p[1:], t) or (bool(t) and plain(p, t[1:]))
        return bool(t) and p[0] in ("?", t[0]) and plain(p[1:], t[1:])

    assert matches(pattern, text) is plain(pattern, text)


def test_many_stars_are_matched_in_no_time() -> None:
    assert not matches("*a" * 500 + "b", "a" * 5000)
    assert matches("*a?*" * 100, "ab" * 5000)


def test_keys_of_a_request() -> None:
    headers = {
        "referer": "http://a/",
        "x-amz-copy-source": "/src/a%20b",
        "x-amz-tagging": "colour=red&size=",
        "x-amz-object-lock-mode": "GOVERNANCE",
    }
    found = request_keys(headers.get, {"prefix": "p/", "versionId": "v"}.get, peer="192.0.2.1", secure=True, now_us=0)
    assert found["aws:Referer"] == "http://a/"
    assert found["s3:x-amz-copy-source"] == "src/a b"
    assert found["s3:RequestObjectTag/colour"] == "red"
    assert found["s3:RequestObjectTagKeys"] == ("colour", "size")
    assert found["s3:object-lock-mode"] == "GOVERNANCE"
    assert (found["s3:prefix"], found["s3:versionid"]) == ("p/", "v")
    assert (found["aws:SecureTransport"], found["aws:CurrentTime"]) == ("true", "1970-01-01T00:00:00Z")
    assert all(known(key) for key in found)
