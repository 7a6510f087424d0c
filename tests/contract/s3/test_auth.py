"""Who may come in: presigned URLs, forms, signature version 2, what is refused before any handler."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from typing import Any
from urllib.parse import quote

import pytest

from andromede.objects.s3 import sigv4
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Headers, Request
from tests.contract.s3.client import HOST, SECRET, Answer, Client
from tests.support.clock import FakeClock


@pytest.fixture
def box(s3: Client) -> Client:
    s3.bucket("box")
    s3.put("k", b"data")
    return s3


def plain(s3: Client, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    """An unsigned request with exactly these headers."""
    raw = target.encode()
    path, _, query = raw.partition(b"?")
    given = {"host": HOST, "content-length": str(len(body)), **(headers or {})}
    fields = Headers.of(*given.items())
    return s3.send(Request(method, raw, path, query, fields, "http", "192.0.2.7", BufferedBody(body), "req-2"))


def presigned(
    method: str = "GET", path: str = "/box/k", *, expires: str = "600", key: str = "KEY1", **more: str
) -> str:
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{key}/20260101/fr1/s3/aws4_request",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": "host",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    fields = Headers.of(("host", HOST))
    request = Request(method, b"", path.encode(), text.encode(), fields, "http", "", BufferedBody(b""), "req-2")
    scope = sigv4.scope_of(query["X-Amz-Credential"], "host", "auth_query")
    claimed = sigv4.Claimed(scope, "", query["X-Amz-Date"], sigv4.UNSIGNED, 1)
    signature = sigv4.sign(
        sigv4.signing_key(SECRET, "20260101", scope.region, "s3"),
        sigv4.string_to_sign(claimed, sigv4.canonical_request(request, claimed)),
    )
    return f"{path}?{text}&X-Amz-Signature={signature}"


def test_presigned_urls(box: Client, clock: FakeClock) -> None:
    url = presigned()
    assert plain(box, "GET", url).body == b"data"
    assert plain(box, "PUT", url).code == "SignatureDoesNotMatch"
    assert plain(box, "GET", url.replace("/box/k", "/box/l")).code == "SignatureDoesNotMatch"
    assert plain(box, "GET", url, {"x-amz-copy-source": "/box/k"}).code == "AccessDenied"
    clock.advance(601)
    assert plain(box, "GET", url).code == "AccessDenied"


def test_presigned_puts_carry_hoisted_headers(box: Client) -> None:
    url = presigned("PUT", "/box/new", x_amz_meta_colour="blau", x_amz_acl="public-read")
    assert plain(box, "PUT", url, body=b"fresh").status == 200
    answer = plain(box, "GET", "/box/new")
    assert (answer.body, answer.headers["x-amz-meta-colour"]) == (b"fresh", "blau")


@pytest.mark.parametrize(
    ("expires", "status", "code"),
    [
        ("0", 403, "AccessDenied"), ("-7", 403, "AccessDenied"), ("604801", 403, "AccessDenied"),
        ("soon", 400, "AuthorizationQueryParametersError"), ("604800", 200, ""),
    ],
)  # fmt: skip
def test_expiries(box: Client, expires: str, status: int, code: str) -> None:
    answer = plain(box, "GET", presigned(expires=expires))
    assert answer.status == status
    assert status == 200 or answer.code == code


def test_parts_of_a_presigned_url_that_are_wrong(box: Client) -> None:
    url = presigned()
    assert plain(box, "GET", url.replace("X-Amz-Expires=600&", "")).code == "AuthorizationQueryParametersError"
    assert plain(box, "GET", url.replace("HMAC-SHA256", "HMAC-MD5")).code == "AuthorizationQueryParametersError"
    assert plain(box, "GET", presigned(key="NOBODY")).code == "InvalidAccessKeyId"
    assert plain(box, "GET", url, {"authorization": "AWS4-HMAC-SHA256 x"}).code == "InvalidArgument"
    moon = "KEY1/20260101/moon/s3/aws4_request"
    answer = plain(box, "GET", presigned(X_Amz_Credential=moon))
    assert (answer.status, answer.text("Region")) == (400, "fr1")
    assert plain(box, "GET", presigned(X_Amz_Security_Token="t")).code == "InvalidToken"


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        ("", 403, "AccessDenied"),
        ("Basic dTpw", 400, "InvalidArgument"),
        ("AWS KEY1:c2ln", 400, "InvalidRequest"),
        ("AWS4-HMAC-SHA256 Credential=KEY1", 400, "AuthorizationHeaderMalformed"),
        (
            "AWS4-HMAC-SHA256 Credential=KEY1/20260101/fr1/s3/aws4_request, SignedHeaders=host, Signature=0",
            403,
            "AccessDenied",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=KEY1/20260101/fr1/sts/aws4_request, SignedHeaders=host, Signature=0",
            403,
            "AccessDenied",
        ),
    ],
)
def test_headers_that_are_wrong(box: Client, value: str, status: int, code: str) -> None:
    answer = plain(box, "GET", "/box/k", {"authorization": value})
    assert (answer.status, answer.code) == (status, code)


def test_dates_must_be_near(box: Client, clock: FakeClock) -> None:
    request = box.request("GET", "/box/k", b"", {"host": HOST, "content-length": "0"})
    clock.advance(16 * 60)
    assert box.send(request).code == "RequestTimeTooSkewed"
    unsigned = Client(box.context, "KEY1").request("GET", "/box/k", b"", {"host": HOST})
    unsigned.headers = Headers.of(*((n.decode(), v) for n, v in unsigned.headers.raw if n != b"x-amz-content-sha256"))
    assert box.send(unsigned).code == "InvalidRequest"
    stranger = box.acting("NOBODY")("GET", "/box/k")
    assert (stranger.code, stranger.text("AWSAccessKeyId")) == ("InvalidAccessKeyId", "NOBODY")


# --- signature version 2
@pytest.fixture
def old(box: Client) -> Client:
    objects = dataclasses.replace(box.context.config.objects, s3_sigv2=True)
    config = dataclasses.replace(box.context.config, objects=objects)
    return Client(dataclasses.replace(box.context, config=config), "KEY1")


def v2(text: str) -> str:
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha1")).decode()


DATE = "Thu, 01 Jan 2026 00:00:00 +0000"


def test_signature_version_2(old: Client, clock: FakeClock) -> None:
    good = {"date": DATE, "authorization": "AWS KEY1:" + v2(f"GET\n\n\n{DATE}\n/box/k")}
    assert plain(old, "GET", "/box/k", good).body == b"data"
    assert plain(old, "GET", "/box/l", good).code == "SignatureDoesNotMatch"
    slashed = {"date": DATE, "authorization": "AWS KEY1:" + v2(f"GET\n\n\n{DATE}\n/box/?versioning")}
    assert plain(old, "GET", "/box?versioning", slashed).status == 200
    amz = {"x-amz-date": DATE, "authorization": "AWS KEY1:" + v2(f"GET\n\n\n\nx-amz-date:{DATE}\n/box/k")}
    assert plain(old, "GET", "/box/k", amz).status == 200
    signature = quote(v2("GET\n\n\n1767225700\n/box/k"), safe="")
    url = f"/box/k?AWSAccessKeyId=KEY1&Expires=1767225700&Signature={signature}"
    assert plain(old, "GET", url).body == b"data"
    assert plain(old, "GET", url.replace("1767225700", "1767225701")).code == "SignatureDoesNotMatch"
    assert plain(old, "GET", url.replace("1767225700", "later")).code == "AccessDenied"
    clock.advance(16 * 60)
    assert plain(old, "GET", url).code == "AccessDenied"
    assert plain(old, "GET", "/box/k", good).code == "RequestTimeTooSkewed"
    assert plain(old, "GET", "/box/k", {"date": "nonsense", "authorization": "AWS KEY1:x"}).code == "AccessDenied"
    assert plain(old, "GET", "/box/k", {"authorization": "AWS nonsense"}).code == "InvalidArgument"


# --- forms
POLICY: dict[str, Any] = {
    "expiration": "2026-01-01T01:00:00Z",
    "conditions": [{"bucket": "box"}, ["starts-with", "$key", "up/"], ["content-length-range", 2, 8],
                   ["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-credential", ""],
                   ["starts-with", "$x-amz-date", ""], ["starts-with", "$success_action_status", ""]],
}  # fmt: skip


def form(fields: dict[str, str], data: bytes = b"hello", filename: str = "photo.jpg") -> tuple[bytes, dict[str, str]]:
    parts = b""
    for name, value in fields.items():
        parts += f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n{value}\r\n'.encode()
    parts += f'--B\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'.encode()
    parts += b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n--B\r\n\r\nignored\r\n--B--\r\n"
    return parts, {"content-type": 'multipart/form-data; boundary="B"'}


def signed_form(policy: object = POLICY, **fields: str) -> dict[str, str]:
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    found = {"key": "up/${filename}", "policy": text, "x-amz-algorithm": "AWS4-HMAC-SHA256",
             "x-amz-credential": "KEY1/20260101/fr1/s3/aws4_request", "x-amz-date": "20260101T000000Z"}  # fmt: skip
    key = sigv4.signing_key(SECRET, "20260101", "fr1", "s3")
    return {**found, "x-amz-signature": sigv4.sign(key, text.encode()), **fields}


def post(s3: Client, fields: dict[str, str], data: bytes = b"hello") -> Answer:
    body, headers = form(fields, data)
    return plain(s3, "POST", "/box", headers, body)


def test_a_signed_form(box: Client) -> None:
    made = post(box, signed_form(success_action_status="201"))
    assert (made.status, made.text("Key")) == (201, "up/photo.jpg")
    assert box.get("up/photo.jpg").body == b"hello"
    assert post(box, signed_form()).status == 204
    assert post(box, signed_form(success_action_status="404")).status == 204


def test_redirects_of_forms(box: Client) -> None:
    policy = {**POLICY, "conditions": [*POLICY["conditions"], ["eq", "$success_action_redirect", "http://a/b"]]}
    made = post(box, signed_form(policy, success_action_redirect="http://a/b"))
    etag = box.get("up/photo.jpg").headers["etag"].strip('"')
    assert made.status == 303
    assert made.headers["location"] == f"http://a/b?bucket=box&key=up%2Fphoto.jpg&etag=%22{etag}%22"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"x-amz-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"key": "down/x"}, 403, "AccessDenied"),
        ({"key": ""}, 400, "InvalidArgument"),
        ({"x-amz-meta-extra": "1"}, 403, "AccessDenied"),
        ({"x-amz-algorithm": "AWS4-HMAC-MD5"}, 400, "InvalidArgument"),
        ({"x-amz-credential": "NOBODY/20260101/fr1/s3/aws4_request"}, 403, "InvalidAccessKeyId"),
        ({"x-amz-credential": "nonsense"}, 400, "InvalidArgument"),
        ({"x-amz-security-token": "t"}, 400, "InvalidToken"),
    ],
)
def test_fields_that_are_refused(box: Client, fields: dict[str, str], status: int, code: str) -> None:
    answer = post(box, signed_form(**fields))
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"expiration": "2025-12-31T00:00:00Z"}, 403),
        ({"expiration": "tomorrow"}, 400),
        ({"expiration": None}, 400),
        ({"conditions": None}, 400),
        ({"conditions": [["content-length-range", 2]]}, 400),
        ({"conditions": [["content-length-range", -1, 4]]}, 400),
        ({"conditions": [["content-length-range", "x", 4]]}, 400),
        ({"conditions": [{}]}, 400),
        ({"conditions": ["word"]}, 400),
        ({"conditions": [["matches", "$key", "x"]]}, 400),
        ({"conditions": [{"key": ["list"]}]}, 400),
        ({"conditions": [{"bucket": "another"}]}, 403),
    ],
)
def test_policies_that_are_refused(box: Client, change: dict[str, Any], status: int) -> None:
    answer = post(box, signed_form({**POLICY, **change}))
    assert answer.status == status


def test_sizes_are_bounded_by_the_policy(box: Client) -> None:
    assert post(box, signed_form(), b"1").code == "EntityTooSmall"
    assert post(box, signed_form(), b"123456789").code == "EntityTooLarge"
    assert box.get("up/photo.jpg").status == 404


def test_forms_of_nobody(box: Client) -> None:
    assert post(box, {"key": "k2"}).code == "AccessDenied"
    box.bucket("open", x_amz_acl="public-read-write")
    body, headers = form(
        {
            "key": "k2",
            "Content-Type": "text/x",
            "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        }
    )
    assert plain(box, "POST", "/open", headers, body).status == 204
    assert box.get("k2", "?tagging", bucket="open").texts("TagSet/Tag/Key") == ["a"]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("text/plain", b"", "MalformedPOSTRequest"),
        ("multipart/form-data", b"", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=B", b"", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=B", b"--B--\r\n", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=B", b"--B\r\n\r\n\r\nx\r\n--B--\r\n", "MalformedPOSTRequest"),
        (
            "multipart/form-data; boundary=B",
            b"--B\r\nContent-Disposition: form-data; name=key\r\n\r\n\xff\r\n--B--\r\n",
            "MalformedPOSTRequest",
        ),
        (
            "multipart/form-data; boundary=B",
            b"--B\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--B--\r\n",
            "InvalidArgument",
        ),
        ("multipart/form-data; boundary=B", b"x" * 100_000, "MalformedPOSTRequest"),
    ],
)
def test_bodies_that_are_no_forms(box: Client, kind: str, body: bytes, code: str) -> None:
    answer = plain(box, "POST", "/box", {"content-type": kind}, body)
    assert (answer.status, answer.code) == (400, code)


def test_a_signed_header_does_not_vouch_for_a_form(box: Client) -> None:
    body, headers = form({"key": "by-form"})
    answer = box("POST", "/box", body, headers)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert box.get("by-form").status == 404


def test_a_cut_form_stores_nothing(box: Client) -> None:
    body, headers = form(signed_form(), b"hello")
    answer = plain(box, "POST", "/box", headers, body[: body.index(b"hello") + 3])
    assert (answer.status, answer.code) == (400, "IncompleteBody")
    assert box.get("up/photo.jpg").status == 404


def test_old_signatures_of_forms_are_a_setting(old: Client) -> None:
    policy = {**POLICY, "conditions": POLICY["conditions"][:3]}
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    fields = {"key": "up/a", "AWSAccessKeyId": "KEY1", "policy": text, "signature": v2(text)}
    assert post(old, fields).status == 204
    assert post(old, {**fields, "signature": "eA=="}).code == "SignatureDoesNotMatch"
    assert post(old, {"key": "up/a", "policy": text}).code == "InvalidArgument"
    strict = Client(
        dataclasses.replace(
            old.context,
            config=dataclasses.replace(
                old.context.config, objects=dataclasses.replace(old.context.config.objects, s3_sigv2=False)
            ),
        )
    )
    assert post(strict, fields).code == "InvalidRequest"


def test_guessing_signatures_is_slowed_down(box: Client, clock: FakeClock) -> None:
    """By key and address: other keys are served there, the key itself elsewhere, and both again after a while."""

    def ask(signature: str, peer: str = "192.0.2.7", key: str = "KEY1") -> Answer:
        target = presigned(key=key)
        raw = (target[: -len(signature)] + signature).encode() if signature else target.encode()
        path, _, query = raw.partition(b"?")
        fields = Headers.of(("host", HOST), ("content-length", "0"))
        return box.send(Request("GET", raw, path, query, fields, "http", peer, BufferedBody(b""), "req-3"))

    answers = [ask("0" * 64) for _ in range(101)]
    assert [answer.status for answer in answers] == [403] * 100 + [429]
    assert answers[-1].code == "SlowDown"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert ask("").status == 429
    assert ask("", key="KEY2").status != 429
    assert ask("", peer="192.0.2.8").status == 200
    clock.advance(5)
    assert ask("").status == 200


def test_guessing_access_keys_is_slowed_down(box: Client) -> None:
    answers = [plain(box, "GET", presigned(key=f"NOBODY{number}")) for number in range(101)]
    assert [answer.status for answer in answers] == [403] * 100 + [429]
    assert plain(box, "GET", presigned()).status == 200


def test_guessing_signatures_of_forms_is_slowed_down(box: Client) -> None:
    fields = {
        "key": "k", "policy": "e30=", "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": "20260101T000000Z",
        "x-amz-credential": "KEY1/20260101/fr1/s3/aws4_request", "x-amz-signature": "0" * 64,
    }  # fmt: skip
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    body = (parts + '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n').encode()
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answers = [plain(box, "POST", "/box", kind, body) for _ in range(101)]
    assert [answer.status for answer in answers] == [403] * 100 + [429]
