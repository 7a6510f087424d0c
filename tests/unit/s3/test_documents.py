"""Documents of buckets and ACLs through the S3 door, over the real object service."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.objects.access.acl import ALL_USERS
from tests.support.access import OTHER, OWNER
from tests.support.clock import FakeClock
from tests.support.s3door import EMAIL, Bench
from tests.support.vault import vault


@pytest.fixture
def s3(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock) as found:
        bench = Bench(found, website_domains=("web.test",), day_seconds=86400)
        assert bench.ask("PUT", "/box").status == 200
        yield bench


def grantees(answer: object) -> list[tuple[str, str]]:
    root = answer.xml("AccessControlPolicy")  # type: ignore[attr-defined]
    found = []
    for grant in root.need("AccessControlList").children:
        grantee = grant.need("Grantee")
        found.append((grantee.value("ID") or grantee.value("URI") or "", grant.need("Permission").text))
    return found


def acl_body(*grants: tuple[str, str], owner: str = OWNER) -> bytes:
    rows = "".join(
        f'<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x">{who}</Grantee>'
        f"<Permission>{permission}</Permission></Grant>"
        for who, permission in grants
    )
    return (
        f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList>{rows}</AccessControlList>"
        "</AccessControlPolicy>"
    ).encode()


def test_canned_acl_opens_and_closes(s3: Bench) -> None:
    assert s3.ask("PUT", "/box/k", b"x", x_amz_acl="public-read").status == 200
    assert s3.ask("GET", "/box/k", who="nobody").body == b"x"
    assert s3.ask("GET", "/box?list-type=2", who="nobody").status == 403
    assert grantees(s3.ask("GET", "/box/k?acl")) == [(ALL_USERS, "READ"), (OWNER, "FULL_CONTROL")]
    assert s3.ask("PUT", "/box/k?acl", x_amz_acl="private").status == 200
    assert s3.ask("GET", "/box/k", who="nobody").status == 403
    assert s3.ask("PUT", "/box?acl", x_amz_acl="public-read").status == 200
    assert s3.ask("GET", "/box?list-type=2", who="nobody").status == 200
    assert s3.ask("PUT", "/box?acl", x_amz_acl="everyone").code == "InvalidArgument"


def test_grants_in_headers_and_xml(s3: Bench) -> None:
    answer = s3.ask(
        "PUT", "/box?acl", x_amz_grant_write=f'id="{OTHER}", emailAddress={EMAIL}', x_amz_grant_read=f"uri={ALL_USERS}"
    )
    assert answer.status == 200
    assert grantees(s3.ask("GET", "/box?acl")) == [(ALL_USERS, "READ"), (OTHER, "WRITE"), (OTHER, "WRITE")]
    assert s3.ask("PUT", "/box/from-other", b"1", who="other").status == 200
    assert s3.ask("GET", "/box/from-other").status == 403
    assert s3.ask("GET", "/box/from-other", who="other").body == b"1"
    everyone = acl_body((f"<ID>{OWNER}</ID>", "FULL_CONTROL"), (f"<URI>{ALL_USERS}</URI>", "READ"))
    assert s3.ask("PUT", "/box?acl", everyone).status == 200
    assert grantees(s3.ask("GET", "/box?acl")) == [(ALL_USERS, "READ"), (OWNER, "FULL_CONTROL")]
    shown = s3.ask("GET", "/box?acl").xml("AccessControlPolicy").need("Owner")
    assert (shown.value("ID"), shown.value("DisplayName")) == (OWNER, "Owner")


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x_amz_grant_read": "id=nobody"}, b"", "InvalidArgument"),
        ({"x_amz_grant_read": "emailAddress=who@example.org"}, b"", "UnresolvableGrantByEmailAddress"),
        ({"x_amz_grant_read": "uri=http://x"}, b"", "InvalidArgument"),
        ({"x_amz_grant_read": "hello"}, b"", "InvalidArgument"),
        ({"x_amz_grant_read": f"id={OTHER}", "x_amz_acl": "private"}, b"", "InvalidRequest"),
        ({"x_amz_acl": "private"}, acl_body(), "InvalidRequest"),
        ({}, b"", "MissingSecurityHeader"),
        ({}, b"<x/>", "MalformedXML"),
        ({}, acl_body(owner=OTHER), "AccessDenied"),
        ({}, acl_body((f"<ID>{OTHER}</ID>", "OWN")), "MalformedXML"),
        ({}, acl_body(("", "READ")), "MalformedXML"),
        ({}, acl_body(("<ID>_foo</ID>", "READ")), "InvalidArgument"),
        ({}, acl_body(*[(f"<ID>{OTHER}</ID>", "READ")] * 101), "MalformedACLError"),
    ],
)
def test_bad_acls(s3: Bench, headers: dict[str, str], body: bytes, code: str) -> None:
    assert s3.ask("PUT", "/box?acl", body, **headers).code == code


def test_acl_of_an_absent_key_tells_strangers_nothing(s3: Bench) -> None:
    assert s3.ask("GET", "/box/none?acl").code == "NoSuchKey"
    assert s3.ask("GET", "/box/none?acl", who="other").code == "AccessDenied"


def policy(**fields: object) -> bytes:
    base = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**base, **fields}]}).encode()


def test_policy_is_kept_enforced_and_removed(s3: Bench) -> None:
    s3.ask("PUT", "/box/k", b"x")
    assert s3.ask("GET", "/box?policy").code == "NoSuchBucketPolicy"
    assert s3.ask("PUT", "/box?policy", policy()).status == 204
    assert s3.ask("GET", "/box?policy").body == policy()
    assert s3.ask("GET", "/box/k", who="nobody").body == b"x"
    status = s3.ask("GET", "/box?policyStatus").xml("PolicyStatus")
    assert status.value("IsPublic") == "true"
    assert s3.ask("PUT", "/box?policy", policy(Condition={"StringLike": {"aws:Referer": "http://a/*"}})).status == 204
    assert s3.ask("GET", "/box/k", who="nobody").status == 403
    assert s3.ask("GET", "/box/k", who="nobody", referer="http://a/b").status == 200
    assert s3.ask("DELETE", "/box?policy").status == 204
    assert s3.ask("GET", "/box/k", who="nobody", referer="http://a/b").status == 403
    assert s3.ask("PUT", "/box?policy", b"{}").code == "MalformedPolicy"
    assert s3.ask("PUT", "/box?policy", policy(), who="other").code == "AccessDenied"
    assert s3.ask("PUT", "/box?policy", b" " * 30_000).status == 400


def test_listing_rights_may_depend_on_the_prefix(s3: Bench) -> None:
    only = policy(Action="s3:ListBucket", Resource="arn:aws:s3:::box", Condition={"StringLike": {"s3:prefix": "pub/*"}})
    assert s3.ask("PUT", "/box?policy", only).status == 204
    assert s3.ask("GET", "/box?list-type=2&prefix=pub/a", who="other").status == 200
    assert s3.ask("GET", "/box?list-type=2&prefix=x", who="other").status == 403
    assert s3.ask("HEAD", "/box/pub/none", who="other").status == 404
    assert s3.ask("HEAD", "/box/none", who="other").status == 403


def test_rights_are_judged_before_values(s3: Bench) -> None:
    wanted = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}
    assert s3.ask("PUT", "/box?policy", policy(Effect="Deny", Action="s3:PutObject", Condition=wanted)).status == 204
    assert s3.ask("PUT", "/box/k", b"x", x_amz_server_side_encryption="AES192").status == 403
    assert s3.ask("PUT", "/box/k", b"x", x_amz_server_side_encryption="AES256").status == 200


def block(**on: bool) -> bytes:
    rows = "".join(f"<{name}>{str(value).lower()}</{name}>" for name, value in on.items())
    return f"<PublicAccessBlockConfiguration>{rows}</PublicAccessBlockConfiguration>".encode()


def test_public_access_block(s3: Bench) -> None:
    assert s3.ask("GET", "/box?publicAccessBlock").code == "NoSuchPublicAccessBlockConfiguration"
    assert s3.ask("PUT", "/box?publicAccessBlock", block(BlockPublicAcls=True, BlockPublicPolicy=True)).status == 200
    shown = s3.ask("GET", "/box?publicAccessBlock").xml("PublicAccessBlockConfiguration")
    assert [shown.value(n) for n in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")] == [
        "true",
        "false",
        "true",
    ]
    assert s3.ask("PUT", "/box?acl", x_amz_acl="public-read").code == "AccessDenied"
    assert s3.ask("PUT", "/box/k", b"x", x_amz_acl="authenticated-read").code == "AccessDenied"
    assert s3.ask("PUT", "/box/k", b"x", x_amz_acl="private").status == 200
    assert s3.ask("PUT", "/box?policy", policy()).code == "AccessDenied"
    assert s3.ask("PUT", "/box?policy", policy(Principal={"AWS": OTHER})).status == 204
    assert s3.ask("DELETE", "/box?publicAccessBlock").status == 204
    assert (
        s3.ask("PUT", "/box?publicAccessBlock", block(BlockPublicAcls=True).replace(b"true", b"yes")).code
        == "MalformedXML"
    )


def rule(text: str) -> bytes:
    return f"<OwnershipControls><Rule><ObjectOwnership>{text}</ObjectOwnership></Rule></OwnershipControls>".encode()


def test_ownership_controls(s3: Bench) -> None:
    assert s3.ask("GET", "/box?ownershipControls").code == "OwnershipControlsNotFoundError"
    s3.ask("PUT", "/box?acl", x_amz_acl="public-read-write")
    assert s3.ask("PUT", "/box/theirs", b"1", who="other").status == 200
    assert (
        s3.ask("PUT", "/box?ownershipControls", rule("BucketOwnerEnforced")).code
        == "InvalidBucketAclWithObjectOwnership"
    )
    s3.ask("PUT", "/box?acl", x_amz_acl="private")
    assert s3.ask("PUT", "/box?ownershipControls", rule("BucketOwnerEnforced")).status == 200
    assert s3.ask("GET", "/box/theirs").body == b"1"
    assert s3.ask("GET", "/box/theirs", who="other").status == 403
    assert s3.ask("PUT", "/box/k", b"x", x_amz_acl="private").code == "AccessControlListNotSupported"
    assert s3.ask("PUT", "/box/k", b"x", x_amz_acl="bucket-owner-full-control").status == 200
    assert s3.ask("PUT", "/box?acl", x_amz_acl="private").code == "AccessControlListNotSupported"
    assert s3.ask("PUT", "/box/k?acl", x_amz_acl="private").code == "AccessControlListNotSupported"
    assert s3.ask("PUT", "/box?ownershipControls", rule("Nobody")).code == "MalformedXML"
    assert s3.ask("DELETE", "/box?ownershipControls").status == 204


CORS = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    b"<AllowedHeader>x-a</AllowedHeader></CORSRule></CORSConfiguration>"
)


def md5_of(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def test_cors(s3: Bench) -> None:
    assert s3.ask("GET", "/box?cors").code == "NoSuchCORSConfiguration"
    assert s3.ask("PUT", "/box?cors", CORS).code == "InvalidRequest"
    assert s3.ask("PUT", "/box?cors", CORS, x_amz_checksum_crc32="AAAAAA==").code == "BadDigest"
    assert s3.ask("PUT", "/box?cors", CORS, content_md5=md5_of(CORS)).status == 200
    assert s3.ask("GET", "/box?cors").body == CORS
    origin = "https://a.example"
    assert s3.ask("OPTIONS", "/box/k", who="nobody").status == 400
    assert s3.ask("OPTIONS", "/box/k", who="nobody", origin=origin).status == 400
    found = s3.ask("OPTIONS", "/box/k", who="nobody", origin=origin, access_control_request_method="GET")
    assert (found.status, found.headers["access-control-allow-origin"]) == (200, origin)
    for extra in (
        {"access_control_request_headers": "x-b"},
        {"origin": "https://b.org"},
        {"access_control_request_method": "PUT"},
    ):
        asked = {"origin": origin, "access_control_request_method": "GET", **extra}
        assert s3.ask("OPTIONS", "/box/k", who="nobody", **asked).status == 403
    missing = s3.ask("GET", "/box/none", origin=origin)
    assert (missing.status, missing.headers["access-control-allow-origin"]) == (404, origin)
    assert missing.headers["access-control-allow-methods"] == "GET"
    assert "access-control-allow-origin" not in s3.ask("GET", "/box/none").headers
    assert "access-control-allow-origin" not in s3.ask("PUT", "/box/k", b"", origin=origin).headers
    denied = s3.ask("GET", "/box/none", who="nobody", origin=origin)
    assert (denied.status, denied.headers["access-control-allow-origin"]) == (403, origin)
    assert s3.ask("DELETE", "/box?cors").status == 204


def test_lifecycle_configuration_and_header(s3: Bench) -> None:
    body = (
        b"<LifecycleConfiguration><Rule><Prefix>a/</Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>"
        b"<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
        b"</Rule></LifecycleConfiguration>"
    )
    md5 = md5_of(body)
    assert s3.ask("GET", "/box?lifecycle").code == "NoSuchLifecycleConfiguration"
    assert s3.ask("PUT", "/box?lifecycle", body, content_md5=md5).status == 200
    (kept,) = s3.ask("GET", "/box?lifecycle").xml("LifecycleConfiguration").children
    rule_id = kept.value("ID")
    assert s3.ask("PUT", "/box/a/k", b"x").headers["x-amz-expiration"].endswith(f'rule-id="{rule_id}"')
    head = s3.ask("HEAD", "/box/a/k").headers["x-amz-expiration"]
    assert head == f'expiry-date="Fri, 02 Jan 2026 00:00:00 GMT", rule-id="{rule_id}"'
    assert "x-amz-expiration" not in s3.ask("PUT", "/box/b", b"x").headers
    assert s3.ask("DELETE", "/box?lifecycle").status == 204
    assert s3.ask("DELETE", "/box?lifecycle").status == 204


def test_tags_encryption_and_the_rest(s3: Bench) -> None:
    assert s3.ask("GET", "/box?tagging").code == "NoSuchTagSet"
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    assert s3.ask("PUT", "/box?tagging", tags).status == 204
    assert s3.ask("GET", "/box?tagging").body == tags
    assert s3.ask("PUT", "/box?tagging", tags.replace(b">a<", b">aws:x<")).code == "InvalidTag"
    assert s3.ask("DELETE", "/box?tagging").status == 204
    rule_body = (
        b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
        b"</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
    )
    assert s3.ask("GET", "/box?encryption").code == "ServerSideEncryptionConfigurationNotFoundError"
    assert s3.ask("PUT", "/box?encryption", rule_body).status == 200
    assert s3.ask("PUT", "/box/k", b"x").headers["x-amz-server-side-encryption"] == "AES256"
    assert s3.ask("DELETE", "/box?encryption").status == 204
    assert s3.ask("GET", "/box?accelerate").status == 200
    assert (
        s3.ask(
            "PUT", "/box?accelerate", b"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"
        ).status
        == 501
    )
    assert s3.ask("GET", "/box?requestPayment").xml("RequestPaymentConfiguration").value("Payer") == "BucketOwner"
    payer = b"<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>"
    assert s3.ask("PUT", "/box?requestPayment", payer).status == 501
    assert s3.ask("PUT", "/box?requestPayment", payer.replace(b"Requester", b"BucketOwner")).status == 200
    assert s3.ask("GET", "/box?notification").status == 200
    assert s3.ask("PUT", "/box?notification", b"<NotificationConfiguration/>").status == 200
    assert (
        s3.ask("PUT", "/box?notification", b"<NotificationConfiguration><Topic/></NotificationConfiguration>").status
        == 501
    )
    assert s3.ask("GET", "/box?replication").code == "ReplicationConfigurationNotFoundError"
    assert s3.ask("PUT", "/box?replication", b"<x/>").status == 501
    assert s3.ask("DELETE", "/box?replication").status == 204


SITE = (
    b"<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument><Key>err.html"
    b"</Key></ErrorDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition>"
    b"<Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>"
)


def test_a_website_serves_pages_and_redirects(s3: Bench) -> None:
    web = {"host": "box.web.test", "who": "nobody"}
    assert s3.ask("GET", "/", **web).status == 404
    assert s3.ask("GET", "/box?website").code == "NoSuchWebsiteConfiguration"
    assert s3.ask("PUT", "/box?website", SITE).status == 200
    assert s3.ask("GET", "/box?website").body == SITE
    s3.ask("PUT", "/box?policy", policy())
    for key in ("index.html", "sub/index.html"):
        s3.ask("PUT", f"/box/{key}", key.encode(), content_type="text/html")
    assert s3.ask("GET", "/", **web).body == b"index.html"
    assert s3.ask("GET", "/sub/?utm=1&v", **web).body == b"sub/index.html"
    assert s3.ask("GET", "/sub", **web).headers["location"] == "/sub/"
    assert s3.ask("GET", "/old/x", **web).headers["location"] == "http://box.web.test/new/x"
    # the caller may not list, so that an absent page is a forbidden one
    assert s3.ask("GET", "/none", **web).status == 403
    listing = policy(Action=["s3:GetObject", "s3:ListBucket"], Resource=["arn:aws:s3:::box", "arn:aws:s3:::box/*"])
    s3.ask("PUT", "/box?policy", listing)
    missing = s3.ask("GET", "/none", **web)
    assert (missing.status, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    s3.ask("PUT", "/box/err.html", b"sorry")
    assert (s3.ask("GET", "/none", **web).status, s3.ask("GET", "/none", **web).body) == (404, b"sorry")
    s3.ask("PUT", "/box/away", b"", x_amz_website_redirect_location="/index.html")
    assert s3.ask("GET", "/away", **web).headers["location"] == "/index.html"
    assert s3.ask("HEAD", "/", **web).status == 200
    assert s3.ask("PUT", "/x", b"", **web).status == 405
    assert s3.ask("GET", "/", host="none.web.test", who="nobody").status == 404
    assert s3.ask("DELETE", "/box?website").status == 204


WORDS = (
    *("acl", "policy", "publicAccessBlock", "ownershipControls", "cors", "lifecycle", "tagging", "encryption"),
    *("website", "accelerate", "requestPayment", "notification", "replication"),
)
JUNK = (
    b"", b"\x00", b"<", b"<a/>", b"{}", b"[]", b"null", b"<a>" * 2000, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"\xff\xfe\x00", b"<a xmlns='x' b='c'>\xf0\x9f\x98\x80</a>",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_garbage_is_refused_and_never_a_500(s3: Bench, word: str) -> None:
    roots = ("AccessControlPolicy", "CORSConfiguration", "LifecycleConfiguration", "Tagging", "WebsiteConfiguration")
    bodies = [*JUNK, *(f"<{root}><x/></{root}>".encode() for root in roots)]
    for body in bodies:
        md5 = md5_of(body)
        answer = s3.ask("PUT", f"/box?{word}", body, content_md5=md5)
        assert 400 <= answer.status < 500 or answer.status == 501, (word, body, answer)


@pytest.mark.parametrize("word", WORDS)
def test_strangers_are_denied_every_document(s3: Bench, word: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        for who in ("other", "nobody"):
            answer = s3.ask(method, f"/box?{word}", b"<a/>" if method == "PUT" else b"", who=who)
            assert answer.status in (403, 405, 501), (method, who, answer)


def test_cors_headers_are_on_writes_on_their_refusals_and_before_the_bucket_is_open(s3: Bench) -> None:
    rules = CORS.replace(b">GET<", b">PUT<")
    assert s3.ask("PUT", "/box?cors", rules, content_md5=md5_of(rules)).status == 200
    origin = "https://a.example"
    made = s3.ask("PUT", "/box/k", b"x", origin=origin)
    assert (made.status, made.headers["access-control-allow-origin"]) == (200, origin)
    late = s3.ask("PUT", "/box/k", b"y", origin=origin, if_none_match="*")
    assert (late.status, late.headers["access-control-allow-origin"]) == (412, origin)
    early = s3.ask("PUT", "/box/k", b"y", origin=origin, x_amz_expected_bucket_owner="else")
    assert (early.status, early.headers["access-control-allow-origin"]) == (403, origin)
    assert s3.ask("PUT", "/none/k", b"y", origin=origin).status == 404
    some = s3.ask(
        "OPTIONS", "/box/k", origin=origin, access_control_request_method="PUT", access_control_request_headers="X-A"
    )
    assert some.headers["access-control-allow-headers"] == "x-a"


def test_ownership_is_chosen_at_creation(s3: Bench) -> None:
    assert s3.ask("PUT", "/owned", x_amz_object_ownership="BucketOwnerEnforced").status == 200
    assert b"BucketOwnerEnforced" in s3.ask("GET", "/owned?ownershipControls").body
    assert s3.ask("PUT", "/other-box", x_amz_object_ownership="Mine").code == "InvalidArgument"
    mixed = s3.ask("PUT", "/third", x_amz_object_ownership="BucketOwnerEnforced", x_amz_acl="public-read")
    assert mixed.code == "InvalidBucketAclWithObjectOwnership"


def test_a_website_may_send_everyone_elsewhere(s3: Bench) -> None:
    web = {"host": "box.web.test", "who": "nobody"}
    everything = b"<RedirectAllRequestsTo><HostName>example.org</HostName></RedirectAllRequestsTo>"
    s3.ask("PUT", "/box?website", b"<WebsiteConfiguration>" + everything + b"</WebsiteConfiguration>")
    assert s3.ask("GET", "/a/b", **web).headers["location"] == "http://example.org/a/b"
    after = (
        b"<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><ErrorDocument><Key>gone</Key>"
        b"</ErrorDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>x</KeyPrefixEquals>"
        b"<HttpErrorCodeReturnedEquals>403</HttpErrorCodeReturnedEquals></Condition><Redirect><ReplaceKeyWith>login"
        b"</ReplaceKeyWith><HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule></RoutingRules>"
        b"</WebsiteConfiguration>"
    )
    assert s3.ask("PUT", "/box?website", after).status == 200
    found = s3.ask("GET", "/x1", **web)
    assert (found.status, found.headers["location"]) == (302, "http://box.web.test/login")
    assert s3.ask("GET", "/y1", **web).status == 403
    assert s3.ask("HEAD", "/y1", **web).body == b""
