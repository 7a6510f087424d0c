"""CORS and website configurations: what may be stored, and what they say."""

from __future__ import annotations

import pytest

from andromede.errors import Invalid
from andromede.objects.s3 import cors, cors_rules, website_rules
from andromede.objects.s3.encryption import default_encryption, rule
from andromede.objects.s3.xml import parse
from andromede.web.stream.message import Headers
from tests.support.access import container


def cors_document(*inner: str) -> bytes:
    return (
        f"<CORSConfiguration>{''.join(f'<CORSRule>{each}</CORSRule>' for each in inner)}</CORSConfiguration>".encode()
    )


GET = "<AllowedMethod>GET</AllowedMethod>"
ANY = "<AllowedOrigin>*</AllowedOrigin>"


@pytest.mark.parametrize(
    ("pattern", "origin", "fits"),
    [
        ("*suffix", "foo.suffix", True),
        ("*suffix", "foo.suffix.get", False),
        ("start*end", "startend", True),
        ("start*end", "start1end", True),
        ("start*end", "0start1end", False),
        ("start*tart", "start", False),
        ("prefix*", "prefix.suffix", True),
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "https://a.example.org", False),
    ],
)
def test_origins(pattern: str, origin: str, fits: bool) -> None:
    box = container(documents={"cors": cors_document(f"<AllowedOrigin>{pattern}</AllowedOrigin>{GET}")})
    found = dict(cors.response_headers(box, Headers.of(("Origin", origin)), "GET"))
    assert found.get("Access-Control-Allow-Origin") == (origin if fits else None)
    assert dict(cors.response_headers(box, Headers.of(("Origin", origin)), "PUT")) == {}
    assert cors.response_headers(box, Headers.of(), "GET") == []


def test_headers_of_a_rule() -> None:
    more = "<AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>"
    inner = f"{ANY}{GET}{more}"
    box = container(documents={"cors": cors_document(inner)})
    found = dict(cors.response_headers(box, Headers.of(("Origin", "x")), "GET"))
    assert found["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in found
    assert found["Access-Control-Expose-Headers"] == "ETag"
    assert found["Access-Control-Max-Age"] == "60"
    (only,) = cors_rules.rules_of(box)
    assert only.permits(["x-amz-date", "x-amz-acl"])
    assert not only.permits(["content-type"])
    assert only.permits([])


@pytest.mark.parametrize(
    "inner",
    [
        ANY, GET, f"{ANY}<AllowedMethod>get</AllowedMethod>", f"{ANY}<AllowedMethod>PATCH</AllowedMethod>",
        f"<AllowedOrigin>*a*</AllowedOrigin>{GET}", f"{ANY}{GET}<AllowedHeader>*-*</AllowedHeader>",
        f"{ANY}{GET}<MaxAgeSeconds>-1</MaxAgeSeconds>", f"{ANY}{GET}<MaxAgeSeconds>²</MaxAgeSeconds>",
        f"{ANY}{GET}<ID>{'x' * 256}</ID>", f"{ANY}{GET}<ExposeHeader>a&#13;b</ExposeHeader>", f"<AllowedOrigin/>{GET}",
        f"{ANY}{GET}<Other/>", f"{ANY}{GET}<ExposeHeader>é</ExposeHeader>",
    ],
)  # fmt: skip
def test_bad_cors_rules(inner: str) -> None:
    with pytest.raises(Invalid):
        cors_rules.rules(parse(cors_document(inner), "CORSConfiguration"))


def site(inner: str) -> website_rules.Website:
    return website_rules.website(
        parse(f"<WebsiteConfiguration>{inner}</WebsiteConfiguration>".encode(), "WebsiteConfiguration")
    )


INDEX = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"


HOST = "<HostName>h</HostName>"


def rule_of(inner: str) -> str:
    return f"{INDEX}<RoutingRules><RoutingRule>{inner}</RoutingRule></RoutingRules>"


def routed(inner: str) -> website_rules.RoutingRule:
    return site(rule_of(inner)).rules[0]


def test_website_configurations() -> None:
    plain = site(f"{INDEX}<ErrorDocument><Key>err.html</Key></ErrorDocument>")
    assert (plain.index, plain.error, plain.rules) == ("index.html", "err.html", ())
    assert plain.route("x", 404) is None
    all_over = site(
        "<RedirectAllRequestsTo><HostName>example.org</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>"
    )
    assert all_over.everything == website_rules.Redirect("example.org", "https")
    docs = routed(
        "<Condition><KeyPrefixEquals>docs/</KeyPrefixEquals></Condition>"
        "<Redirect><ReplaceKeyPrefixWith>documents/</ReplaceKeyPrefixWith></Redirect>"
    )
    assert docs.fits("docs/a", None)
    assert not docs.fits("docs/a", 404)
    assert not docs.fits("other", None)
    assert docs.target("docs/a") == "documents/a"
    missing = routed(
        "<Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>"
        "<Redirect><HostName>h.example</HostName><HttpRedirectCode>302</HttpRedirectCode><ReplaceKeyWith>gone</ReplaceKeyWith></Redirect>"
    )
    assert missing.fits("x", 404)
    assert not missing.fits("x", None)
    assert missing.target("x") == "gone"
    assert missing.redirect.code == 302
    assert routed("<Redirect><HostName>h</HostName></Redirect>").target("k") == "k"


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<IndexDocument><Suffix>a/b</Suffix></IndexDocument>",
        "<IndexDocument><Suffix/></IndexDocument>",
        f"{INDEX}<ErrorDocument><Key/></ErrorDocument>",
        f"{INDEX}<RedirectAllRequestsTo>{HOST}</RedirectAllRequestsTo>",
        "<RedirectAllRequestsTo><HostName>h h</HostName></RedirectAllRequestsTo>",
        f"<RedirectAllRequestsTo>{HOST}<Protocol>ftp</Protocol></RedirectAllRequestsTo>",
        rule_of("<Redirect/>"),
        rule_of(f"<Condition/><Redirect>{HOST}</Redirect>"),
        rule_of("<Redirect><HttpRedirectCode>200</HttpRedirectCode></Redirect>"),
        rule_of(
            "<Redirect><ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith></Redirect>"
        ),
    ],
)
def test_bad_websites(inner: str) -> None:
    with pytest.raises(Invalid):
        site(inner)


def test_stored_website_is_found() -> None:
    assert website_rules.website_of(container()) is None
    box = container(documents={"website": f"<WebsiteConfiguration>{INDEX}</WebsiteConfiguration>".encode()})
    found = website_rules.website_of(box)
    assert found is not None
    assert found.index == "index.html"


def encryption(inner: str) -> bytes:
    return (
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
        f"{inner}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
    ).encode()


def test_default_encryption() -> None:
    kms = encryption("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k1</KMSMasterKeyID>")
    found = default_encryption(container(documents={"encryption": kms}))
    assert found is not None
    assert (found.mode, found.key_id) == ("aws:kms", "k1")
    assert default_encryption(container()) is None
    for inner in (
        "<SSEAlgorithm>ROT13</SSEAlgorithm>",
        "<SSEAlgorithm>aws:kms</SSEAlgorithm>",
        "<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>",
        "",
    ):
        with pytest.raises(Invalid):
            rule(parse(encryption(inner), "ServerSideEncryptionConfiguration"))
