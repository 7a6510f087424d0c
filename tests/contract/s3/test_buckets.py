"""Buckets, listings, routing and errors of the S3 door."""

from __future__ import annotations

import pytest

from tests.contract.s3.client import HOST, Client


@pytest.fixture
def box(s3: Client) -> Client:
    s3.bucket("box")
    return s3


@pytest.mark.parametrize(
    "name",
    ["ab", "x" * 64, "-abc", "abc-", "a..b", "A-upper", "1.2.3.4", "a_b", "info", "v1.0", "xn--abc", "a.-b", "ab."],
)
def test_names_that_are_no_bucket_names(s3: Client, name: str) -> None:
    answer = s3("PUT", f"/{name}")
    if name == "v1.0":
        assert answer.status == 400
    assert answer.code == "InvalidBucketName"


@pytest.mark.parametrize("name", ["abc", "a.b", "a-b", "1abc", "x" * 63, "1.2.3.abc"])
def test_names_that_are(s3: Client, name: str) -> None:
    assert s3("PUT", f"/{name}").status == 200
    assert s3("HEAD", f"/{name}").status == 200
    assert s3("DELETE", f"/{name}").status == 204
    assert s3("HEAD", f"/{name}").status == 404


def test_names_are_taken_once(box: Client) -> None:
    assert box("PUT", "/box").status == 200
    assert box("PUT", "/box", headers={"x-amz-acl": "public-read"}).code == "BucketAlreadyExists"
    assert box.acting("KEY2")("PUT", "/box").code == "BucketAlreadyExists"
    assert box.acting(None)("PUT", "/other").code == "AccessDenied"
    assert box.acting("READER1")("PUT", "/other").code == "AccessDenied"


def test_buckets_are_listed_and_paged(s3: Client) -> None:
    for name in ("bbb", "aaa", "abc"):
        s3.bucket(name)
    s3.acting("KEY2").bucket("foreign")
    listed = s3("GET", "/")
    assert listed.texts("Buckets/Bucket/Name") == ["aaa", "abc", "bbb"]
    assert listed.text("Owner/ID") == "p1"
    page = s3("GET", "/?max-buckets=2")
    assert page.texts("Buckets/Bucket/Name") == ["aaa", "abc"]
    rest = s3("GET", f"/?max-buckets=2&continuation-token={page.text('ContinuationToken')}")
    assert rest.texts("Buckets/Bucket/Name") == ["bbb"]
    assert s3("GET", "/?prefix=a").texts("Buckets/Bucket/Name") == ["aaa", "abc"]
    assert s3("GET", "/?max-buckets=0").code == "InvalidArgument"
    assert s3.acting(None)("GET", "/").code == "AccessDenied"


def test_roles_that_list_buckets(box: Client) -> None:
    for key, status in (("KEY1", 200), ("READER1", 200), ("RESELLER1", 200), ("AUDITOR1", 403)):
        assert box.acting(key)("GET", "/").status == status, key


def test_regions(s3: Client) -> None:
    def body(place: str) -> str:
        return (
            f"<CreateBucketConfiguration><LocationConstraint>{place}</LocationConstraint></CreateBucketConfiguration>"
        )

    assert s3("PUT", "/one", body("fr1")).status == 200
    assert s3("PUT", "/two", body("mars")).code == "InvalidLocationConstraint"
    assert s3("PUT", "/two", "<Other/>").code == "MalformedXML"
    assert s3("GET", "/one?location").tree().text == "fr1"


def test_a_bucket_with_content_stays(box: Client) -> None:
    box.put("k")
    assert box("DELETE", "/box").code == "BucketNotEmpty"
    box("DELETE", "/box/k")
    assert box("DELETE", "/box").status == 204
    assert box("DELETE", "/box").code == "NoSuchBucket"


def test_expected_owner(box: Client) -> None:
    assert box("GET", "/box", headers={"x-amz-expected-bucket-owner": "p1"}).status == 200
    assert box("GET", "/box", headers={"x-amz-expected-bucket-owner": "p2"}).code == "AccessDenied"
    assert box.acting(None)("GET", "/box", headers={"x-amz-expected-bucket-owner": "p2"}).status == 403


KEYS = ["a", "b/1", "b/2", "c/x/1", "c/y", "d"]


@pytest.fixture
def full(box: Client) -> Client:
    for key in KEYS:
        box.put(key, key)
    return box


def test_listing_v1(full: Client) -> None:
    everything = full("GET", "/box")
    assert everything.texts("Contents/Key") == KEYS
    assert everything.texts("Contents/Owner/DisplayName")[0] == "name of p1"
    page = full("GET", "/box?delimiter=%2F&max-keys=2")
    assert (page.texts("Contents/Key"), page.texts("CommonPrefixes/Prefix")) == (["a"], ["b/"])
    assert (page.text("NextMarker"), page.text("IsTruncated")) == ("b/", "true")
    rest = full("GET", "/box?delimiter=%2F&marker=b%2F")
    assert (rest.texts("Contents/Key"), rest.texts("CommonPrefixes/Prefix")) == (["d"], ["c/"])
    plain = full("GET", "/box?max-keys=2")
    assert plain.tree().find("NextMarker") is None
    assert full("GET", "/box?marker=c").texts("Contents/Key") == ["c/x/1", "c/y", "d"]


def test_listing_v2(full: Client) -> None:
    seen: list[str] = []
    query = "/box?list-type=2&max-keys=4"
    while True:
        page = full("GET", query)
        seen += page.texts("Contents/Key")
        assert page.text("KeyCount") == str(len(page.texts("Contents/Key")))
        if page.text("IsTruncated") == "false":
            break
        query = f"/box?list-type=2&max-keys=4&start-after=zzz&continuation-token={page.text('NextContinuationToken')}"
    assert seen == KEYS
    assert full("GET", "/box?list-type=2&start-after=c").texts("Contents/Key") == ["c/x/1", "c/y", "d"]
    assert full("GET", "/box?list-type=2&prefix=c%2F&delimiter=%2F").texts("CommonPrefixes/Prefix") == ["c/x/"]
    assert full("GET", "/box?list-type=2").tree().find("Contents/Owner") is None
    assert full("GET", "/box?list-type=2&fetch-owner=true").texts("Contents/Owner/ID")[0] == "p1"
    empty = full("GET", "/box?list-type=2&max-keys=0")
    assert (empty.text("KeyCount"), empty.text("IsTruncated")) == ("0", "false")
    assert full("GET", "/box?list-type=2&continuation-token=").texts("Contents/Key") == KEYS


@pytest.mark.parametrize(
    "query",
    [
        "list-type=1", "max-keys=blah", "max-keys=-1", "list-type=2&continuation-token=%21", "encoding-type=base64",
        "versions&version-id-marker=x", "versions&uploads", "list-type=2&max-keys=99999999999",
    ],
)  # fmt: skip
def test_listings_that_are_refused(box: Client, query: str) -> None:
    answer = box("GET", f"/box?{query}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_xml_is_always_well_formed(box: Client) -> None:
    for key in ("\x01\x02", "a&b<c>", "\ufffe", "x\ry"):
        assert box.put(key).status == 200
    plain = box("GET", "/box")
    assert len(plain.texts("Contents/Key")) == 4
    assert "a&b<c>" in plain.texts("Contents/Key")
    assert "%01%02" in box("GET", "/box?encoding-type=url").texts("Contents/Key")


def test_what_is_not_there(s3: Client) -> None:
    assert s3("GET", "/nobody").code == "NoSuchBucket"
    assert s3.acting(None)("GET", "/nobody/k").code == "NoSuchBucket"
    s3.bucket("box")
    assert s3("GET", "/box/k").code == "NoSuchKey"
    assert s3.acting("KEY2")("GET", "/box/k").code == "AccessDenied"
    assert s3.acting(None)("GET", "/box/k").code == "AccessDenied"


def test_errors_have_their_form(s3: Client) -> None:
    answer = s3("GET", "/nobody")
    assert (answer.headers["content-type"], answer.text("RequestId")) == (
        "application/xml",
        answer.headers["x-amz-request-id"],
    )
    assert answer.text("Resource") == "/nobody"
    head = s3("HEAD", "/nobody")
    assert (head.status, head.body) == (404, b"")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/box?analytics", 501, "NotImplemented"),
        ("GET", "/box?unheard-of", 501, "NotImplemented"),
        ("PUT", "/box/k?unheard-of", 501, "NotImplemented"),
        ("POST", "/box/k?select", 501, "NotImplemented"),
        ("PATCH", "/box/k", 405, "MethodNotAllowed"),
        ("DELETE", "/", 405, "MethodNotAllowed"),
        ("GET", "/box/%ff", 400, "InvalidURI"),
        ("GET", "/box/a%00b", 400, "InvalidURI"),
        ("PUT", "/box/%C2%8A", 400, "InvalidURI"),
        ("PUT", "/box/" + "k" * 1025, 400, "KeyTooLongError"),
        ("GET", "/box?prefix=%ff", 400, "InvalidURI"),
        ("GET", "//k", 400, "InvalidBucketName"),
    ],
)
def test_requests_that_lead_nowhere(box: Client, method: str, target: str, status: int, code: str) -> None:
    answer = box(method, target)
    assert (answer.status, answer.code) == (status, code)


def test_buckets_of_other_projects_by_name(s3: Client) -> None:
    s3.acting("KEY2").bucket("theirs", x_amz_acl="public-read")
    assert s3("GET", "/p2:theirs").status == 200
    assert s3("GET", "/:theirs").status == 200
    assert s3("GET", "/p1:theirs").code == "NoSuchBucket"


def test_virtual_hosts(box: Client) -> None:
    box.put("k", b"data")
    host = {"host": "box.s3.example.org"}
    assert box("GET", "/k", headers=host).body == b"data"
    assert box("GET", "/", headers=host).texts("Contents/Key") == ["k"]
    assert box("GET", "/k", headers={"host": "other.example.org"}).code == "NoSuchBucket"


def test_versioning_documents(box: Client) -> None:
    assert box("GET", "/box?versioning").tree().find("Status") is None
    for text in ("<Status>On</Status>", "", "<Status>Enabled</Status><X/>"):
        body = f"<VersioningConfiguration>{text}</VersioningConfiguration>"
        assert box("PUT", "/box?versioning", body).code == "MalformedXML", text
    body = "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"
    assert box("PUT", "/box?versioning", body).code == "InvalidArgument"


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><VersioningConfiguration>&x;</VersioningConfiguration>",
        b"<VersioningConfiguration>" + b"<a>" * 50 + b"</a>" * 50 + b"</VersioningConfiguration>",
        b"<VersioningConfiguration>" + b"<Status/>" * 70_000 + b"</VersioningConfiguration>",
        b"\xff\xfe\x00", b"", b"<Other/>", b"<VersioningConfiguration>&lol;</VersioningConfiguration>",
    ],
)  # fmt: skip
def test_hostile_documents(box: Client, body: bytes) -> None:
    answer = box("PUT", "/box?versioning", body)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_documents_have_a_limit(box: Client) -> None:
    answer = box("PUT", "/box?versioning", b" " * ((1 << 20) + 1))
    assert (answer.status, answer.code) == (400, "EntityTooLarge")


def test_usage_in_head(box: Client) -> None:
    box.put("k", b"12345")
    head = box("HEAD", "/box", headers={"host": HOST})
    assert (head.headers["x-rgw-object-count"], head.headers["x-rgw-bytes-used"]) == ("1", "5")
