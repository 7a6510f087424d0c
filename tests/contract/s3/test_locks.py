"""Object lock and server-side encryption through the S3 door."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.contract.s3.client import Client
from tests.support.clock import FakeClock

MODE, UNTIL, HOLD = "x_amz_object_lock_mode", "x_amz_object_lock_retain_until_date", "x_amz_object_lock_legal_hold"
DAY = 86_400


@pytest.fixture
def vaulted(s3: Client) -> Client:
    s3.bucket("box", x_amz_bucket_object_lock_enabled="true")
    return s3


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def locked(s3: Client, mode: str = "GOVERNANCE", until: str = "2026-01-03T00:00:00Z", **more: str) -> str:
    answer = s3.put("k", b"data", content_md5=md5(b"data"), **{MODE: mode, UNTIL: until}, **more)
    assert answer.status == 200, answer.body
    return answer.headers["x-amz-version-id"]


def retention(mode: str, until: str) -> str:
    return f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"


BYPASS = {"x-amz-bypass-governance-retention": "true"}


def test_governance_holds_until_its_date(vaulted: Client, clock: FakeClock) -> None:
    version = locked(vaulted)
    shown = vaulted.get("k")
    assert shown.headers["x-amz-object-lock-mode"] == "GOVERNANCE"
    assert shown.headers["x-amz-object-lock-retain-until-date"] == "2026-01-03T00:00:00Z"
    target = f"/box/k?versionId={version}"
    assert vaulted("DELETE", target).code == "AccessDenied"
    assert vaulted("DELETE", "/box/k").status == 204
    assert vaulted("DELETE", "/box").code == "BucketNotEmpty"
    clock.advance(2 * DAY + 1)
    assert vaulted("DELETE", target).status == 204


def test_bypass_needs_header_and_right(vaulted: Client) -> None:
    version = locked(vaulted)
    assert vaulted.acting("READER1")("DELETE", f"/box/k?versionId={version}", headers=BYPASS).code == "AccessDenied"
    assert vaulted("DELETE", f"/box/k?versionId={version}", headers=BYPASS).status == 204


def test_compliance_only_lengthens(vaulted: Client) -> None:
    version = locked(vaulted, "COMPLIANCE")
    assert vaulted("DELETE", f"/box/k?versionId={version}", headers=BYPASS).code == "AccessDenied"
    shorter, longer = retention("COMPLIANCE", "2026-01-02T00:00:00Z"), retention("COMPLIANCE", "2026-02-01T00:00:00Z")
    assert vaulted("PUT", "/box/k?retention", shorter, BYPASS).code == "AccessDenied"
    weaker = retention("GOVERNANCE", "2026-02-01T00:00:00Z")
    assert vaulted("PUT", "/box/k?retention", weaker, BYPASS).code == "AccessDenied"
    assert vaulted("PUT", "/box/k?retention", longer).status == 200
    assert vaulted("GET", "/box/k?retention").text("RetainUntilDate") == "2026-02-01T00:00:00Z"


def test_governance_is_weakened_with_bypass_alone(vaulted: Client) -> None:
    locked(vaulted)
    shorter = retention("GOVERNANCE", "2026-01-02T00:00:00Z")
    assert vaulted("PUT", "/box/k?retention", shorter).code == "AccessDenied"
    assert vaulted("PUT", "/box/k?retention", shorter, BYPASS).status == 200
    assert vaulted("PUT", "/box/k?retention", "<Retention/>", BYPASS).status == 200
    assert vaulted("GET", "/box/k?retention").code == "NoSuchObjectLockConfiguration"


def test_legal_holds(vaulted: Client) -> None:
    version = vaulted.put("k", b"data").headers["x-amz-version-id"]
    assert vaulted("GET", "/box/k?legal-hold").text("Status") == "OFF"
    assert vaulted("PUT", "/box/k?legal-hold", "<LegalHold><Status>ON</Status></LegalHold>").status == 200
    assert vaulted.get("k").headers["x-amz-object-lock-legal-hold"] == "ON"
    assert vaulted("DELETE", f"/box/k?versionId={version}", headers=BYPASS).code == "AccessDenied"
    assert vaulted("PUT", "/box/k?legal-hold", "<LegalHold><Status>on</Status></LegalHold>").code == "MalformedXML"
    assert vaulted("PUT", "/box/k?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>").status == 200
    assert vaulted("DELETE", f"/box/k?versionId={version}").status == 204


def configuration(rule: str, enabled: str = "Enabled") -> str:
    inner = f"<Rule><DefaultRetention>{rule}</DefaultRetention></Rule>" if rule else ""
    return f"<ObjectLockConfiguration><ObjectLockEnabled>{enabled}</ObjectLockEnabled>{inner}</ObjectLockConfiguration>"


def test_default_rules(vaulted: Client) -> None:
    rule = configuration("<Mode>COMPLIANCE</Mode><Days>2</Days>")
    assert vaulted("PUT", "/box?object-lock", rule).status == 200
    assert vaulted("GET", "/box?object-lock").text("Rule/DefaultRetention/Days") == "2"
    vaulted.put("k", b"data")
    assert vaulted.get("k").headers["x-amz-object-lock-retain-until-date"] == "2026-01-03T00:00:00Z"
    rule = configuration("<Mode>GOVERNANCE</Mode><Years>1</Years>")
    assert vaulted("PUT", "/box?object-lock", rule).status == 200
    vaulted.put("k", b"data")
    assert vaulted.get("k").headers["x-amz-object-lock-retain-until-date"] == "2027-01-01T00:00:00Z"
    assert vaulted("PUT", "/box?object-lock", configuration("")).status == 200


@pytest.mark.parametrize(
    ("rule", "enabled", "code"),
    [
        ("<Mode>GOVERNANCE</Mode><Days>0</Days>", "Enabled", "InvalidRetentionPeriod"),
        ("<Mode>GOVERNANCE</Mode><Years>-1</Years>", "Enabled", "InvalidRetentionPeriod"),
        ("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", "Enabled", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode>", "Enabled", "MalformedXML"),
        ("<Mode>governance</Mode><Days>1</Days>", "Enabled", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><Days>x</Days>", "Enabled", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><Days>1</Days>", "Disabled", "MalformedXML"),
    ],
)
def test_rules_that_are_refused(vaulted: Client, rule: str, enabled: str, code: str) -> None:
    assert vaulted("PUT", "/box?object-lock", configuration(rule, enabled)).code == code


def test_lock_headers_that_are_refused(vaulted: Client) -> None:
    until = {UNTIL: "2026-01-03T00:00:00Z"}
    assert vaulted.put("k", b"d", **{MODE: "GOVERNANCE"}, **until).code == "InvalidRequest"
    sent = {"content_md5": md5(b"d")}
    assert vaulted.put("k", b"d", **{MODE: "GOVERNANCE"}, **sent).code == "InvalidArgument"
    assert vaulted.put("k", b"d", **{MODE: "SOFT"}, **until, **sent).code == "InvalidArgument"
    assert vaulted.put("k", b"d", **{MODE: "GOVERNANCE", UNTIL: "soon"}, **sent).code == "InvalidArgument"
    past = {MODE: "GOVERNANCE", UNTIL: "2020-01-01T00:00:00Z"}
    assert vaulted.put("k", b"d", **past, **sent).code == "InvalidArgument"
    assert vaulted.put("k", b"d", **{HOLD: "MAYBE"}, **sent).code == "InvalidArgument"
    assert vaulted.put("k", b"d", **{HOLD: "ON"}, **sent).status == 200


def test_buckets_without_lock(s3: Client) -> None:
    s3.bucket("box")
    s3.put("k", b"d")
    assert s3("GET", "/box?object-lock").code == "ObjectLockConfigurationNotFoundError"
    assert s3("GET", "/box/k?retention").code == "InvalidRequest"
    assert s3("GET", "/box/k?legal-hold").code == "InvalidRequest"
    assert s3.put("k", b"d", **{HOLD: "ON"}, content_md5=md5(b"d")).code == "InvalidRequest"
    rule = configuration("<Mode>GOVERNANCE</Mode><Days>1</Days>")
    assert s3("PUT", "/box?object-lock", rule).code == "InvalidBucketState"


def test_versioning_of_a_lock_bucket_stays_on(vaulted: Client) -> None:
    body = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    assert vaulted("PUT", "/box?versioning", body).code == "InvalidBucketState"


# --- encryption
KEY, OTHER = b"k" * 32, b"o" * 32


def customer(key: bytes, prefix: str = "x_amz_") -> dict[str, str]:
    name = prefix + "server_side_encryption_customer_"
    return {
        name + "algorithm": "AES256",
        name + "key": base64.b64encode(key).decode(),
        name + "key_md5": md5(key),
    }


@pytest.fixture
def box(s3: Client) -> Client:
    s3.bucket("box")
    return s3


def test_customer_keys(box: Client) -> None:
    made = box.put("k", b"data", **customer(KEY))
    assert made.headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    assert box.get("k", **customer(KEY)).body == b"data"
    for answer in (box.get("k"), box.get("k", **customer(OTHER))):
        assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert box("HEAD", "/box/k").status == 400
    named = {name.replace("_", "-"): value for name, value in customer(KEY).items()}
    assert box("HEAD", "/box/k", headers=named).status == 200
    box.put("plain", b"data")
    assert box.get("plain", **customer(KEY)).code == "InvalidRequest"


@pytest.mark.parametrize(
    ("missing", "code"), [("algorithm", "InvalidArgument"), ("key", "InvalidArgument"), ("key_md5", "InvalidArgument")]
)
def test_customer_keys_must_be_whole(box: Client, missing: str, code: str) -> None:
    headers = customer(KEY)
    del headers["x_amz_server_side_encryption_customer_" + missing]
    answer = box.put("k", b"data", **headers)
    assert (answer.status, answer.code) == (400, code)


def test_customer_keys_must_be_right(box: Client) -> None:
    headers = customer(KEY)
    name = "x_amz_server_side_encryption_customer_"
    assert box.put("k", b"d", **{**headers, name + "algorithm": "AES128"}).code == "InvalidEncryptionAlgorithmError"
    assert box.put("k", b"d", **{**headers, name + "key": "c2hvcnQ="}).code == "InvalidArgument"
    assert box.put("k", b"d", **{**headers, name + "key_md5": md5(b"x")}).code == "InvalidArgument"
    assert box.put("k", b"d", **headers, x_amz_server_side_encryption="AES256").code == "InvalidArgument"


def test_copies_change_the_encryption(box: Client) -> None:
    box.put("a", b"data", **customer(KEY))
    source = {"x_amz_copy_source": "/box/a"}
    assert box.put("b", **source).code == "InvalidRequest"
    given = customer(KEY, "x_amz_copy_source_")
    assert box.put("b", **source, **given).status == 200
    assert box.get("b").body == b"data"
    assert box.put("c", **source, **given, **customer(OTHER)).status == 200
    assert box.get("c", **customer(OTHER)).body == b"data"


def test_uploads_repeat_the_customer_key(box: Client) -> None:
    headers = {name.replace("_", "-"): value for name, value in customer(KEY).items()}
    other = {name.replace("_", "-"): value for name, value in customer(OTHER).items()}
    upload = box("POST", "/box/k?uploads", headers=headers).text("UploadId")
    target = f"/box/k?partNumber=1&uploadId={upload}"
    assert box("PUT", target, b"data").code == "InvalidRequest"
    assert box("PUT", target, b"data", other).code == "InvalidArgument"
    etag = box("PUT", target, b"data", headers).headers["etag"]
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    assert box("POST", f"/box/k?uploadId={upload}", body).code == "InvalidRequest"
    assert box("POST", f"/box/k?uploadId={upload}", body, other).code == "InvalidArgument"
    assert box("POST", f"/box/k?uploadId={upload}", body, headers).status == 200
    assert box.get("k", **customer(KEY)).body == b"data"


def test_named_methods(box: Client) -> None:
    made = box.put("k", b"data", x_amz_server_side_encryption="AES256")
    assert made.headers["x-amz-server-side-encryption"] == "AES256"
    assert box.get("k").headers["x-amz-server-side-encryption"] == "AES256"
    assert box.get("k", x_amz_server_side_encryption="AES256").code == "InvalidArgument"
    kms = "x_amz_server_side_encryption_aws_kms_key_id"
    assert box.put("k", b"d", x_amz_server_side_encryption="rot13").code == "InvalidArgument"
    assert box.put("k", b"d", x_amz_server_side_encryption="aws:kms").code == "InvalidArgument"
    assert box.put("k", b"d", x_amz_server_side_encryption="AES256", **{kms: "a"}).code == "InvalidArgument"
    assert box.put("k", b"d", **{kms: "a"}).code == "InvalidArgument"
    unknown = box.put("k", b"d", x_amz_server_side_encryption="aws:kms", **{kms: "nokey"})
    assert (unknown.status, unknown.code) == (400, "KMS.NotFoundException")
