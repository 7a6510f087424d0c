"""Objects: their bytes, metadata, tags, ACLs and locks through both doors."""

from __future__ import annotations

import json
from functools import partial

from tests.support.facts.buckets import PRIVATE, PUBLIC, as_nobody, versioning
from tests.support.facts.containers import post
from tests.support.facts.scene import Fact, Scene, fact
from tests.support.workers import Line

TAGS = "<Tagging><TagSet>{}</TagSet></Tagging>"
TAG = "<Tag><Key>color</Key><Value>{}</Value></Tag>"
HOLD = "<LegalHold><Status>{}</Status></LegalHold>"


def body(scene: Scene, target: str, line: Line) -> bytes | int:
    """The bytes that the owner reads, or the status of a refusal."""
    answer = line.ask(scene.owner.s3, "GET", target)
    return answer.body if answer.status == 200 else answer.status


@fact
def the_bytes_of_an_object(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    copy = {"x-amz-copy-source": f"{path}/source"}
    large = bytes(range(256)) * 1200
    scene.s3(line, "PUT", f"{path}/source", b"copied")
    return Fact(partial(body, scene, f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", f"{path}/k", b"by S3"), b"by S3"),
        (lambda line: scene.swift(line, "PUT", f"{path}/k", b"by Swift"), b"by Swift"),
        (lambda line: scene.s3(line, "PUT", f"{path}/k", headers=copy), b"copied"),
        (lambda line: scene.s3(line, "DELETE", f"{path}/k"), 404),
        (lambda line: scene.s3(line, "PUT", f"{path}/k", large), large),
        (lambda line: scene.swift(line, "DELETE", f"{path}/k"), 404),
    ])  # fmt: skip


@fact
def the_newest_version(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    versioning(scene, path, "Enabled", line)
    scene.s3(line, "PUT", f"{path}/k", b"older")
    newest: list[str] = []

    def put(line: Line) -> None:
        newest.append(scene.s3(line, "PUT", f"{path}/k", b"newer").headers["x-amz-version-id"])

    return Fact(partial(body, scene, f"{path}/k"), [
        (put, b"newer"),
        (lambda line: scene.s3(line, "DELETE", f"{path}/k?versionId={newest.pop()}"), b"older"),
    ])  # fmt: skip


@fact
def the_listing_of_a_bucket(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)

    def listed(line: Line) -> bool:
        return b"<Key>new</Key>" in scene.s3(line, "GET", f"{path}?list-type=2").body

    return Fact(listed, [
        (lambda line: scene.s3(line, "PUT", f"{path}/new", b"x"), True),
        (lambda line: scene.swift(line, "DELETE", f"{path}/new"), False),
    ])  # fmt: skip


@fact
def the_counters_of_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)

    def counted(line: Line) -> tuple[str, str]:
        found = scene.swift(line, "HEAD", path).headers
        return found["x-container-object-count"], found["x-container-bytes-used"]

    return Fact(counted, [
        (lambda line: scene.s3(line, "PUT", f"{path}/new", b"123"), ("2", "7")),
        (lambda line: scene.s3(line, "DELETE", f"{path}/new"), ("1", "4")),
    ])  # fmt: skip


@fact
def the_listing_of_buckets(scene: Scene, line: Line) -> Fact:
    path = f"/{scene.name('listed')}"

    def listed(line: Line) -> bool:
        rows = json.loads(scene.swift(line, "GET", "?format=json&prefix=listed").body)
        return path[1:] in [row["name"] for row in rows]

    return Fact(listed, [
        (lambda line: scene.s3(line, "PUT", path), True),
        (lambda line: scene.s3(line, "DELETE", path), False),
    ])  # fmt: skip


@fact
def metadata_of_an_object(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(lambda line: scene.s3(line, "HEAD", f"{path}/k").headers.get("x-amz-meta-color"), [
        (partial(post, scene, f"{path}/k", {"X-Object-Meta-Color": "red"}), "red"),
        (partial(post, scene, f"{path}/k", {"X-Object-Meta-Color": "blue"}), "blue"),
    ])  # fmt: skip


@fact
def tags_of_an_object(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    wanted = {"StringEquals": {"s3:ExistingObjectTag/color": "red"}}
    scene.s3(line, "PUT", f"{path}?policy=", scene.anyone_may(path, Condition=wanted))
    return Fact(partial(as_nobody, f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", f"{path}/k?tagging=", TAGS.format(TAG.format("red"))), 200),
        (lambda line: scene.s3(line, "PUT", f"{path}/k?tagging=", TAGS.format(TAG.format("blue"))), 403),
        (lambda line: scene.s3(line, "PUT", f"{path}/k?tagging=", TAGS.format(TAG.format("red"))), 200),
        (lambda line: scene.s3(line, "DELETE", f"{path}/k?tagging="), 403),
    ])  # fmt: skip


@fact
def the_acl_of_an_object(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(as_nobody, f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", f"{path}/k?acl=", headers=PUBLIC), 200),
        (lambda line: scene.s3(line, "PUT", f"{path}/k?acl=", headers=PRIVATE), 403),
    ])  # fmt: skip


@fact
def a_legal_hold(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line, {"x-amz-bucket-object-lock-enabled": "true"})
    version = scene.s3(line, "HEAD", f"{path}/k").headers["x-amz-version-id"]

    def held(line: Line) -> bool:
        shown = scene.s3(line, "HEAD", f"{path}/k?versionId={version}").headers
        return shown.get("x-amz-object-lock-legal-hold") == "ON"

    return Fact(held, [
        (lambda line: scene.s3(line, "PUT", f"{path}/k?legal-hold=", HOLD.format("ON")), True),
        (lambda line: scene.s3(line, "PUT", f"{path}/k?legal-hold=", HOLD.format("OFF")), False),
    ])  # fmt: skip


@fact
def an_upload_in_parts(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    upload: list[str] = []

    def begin(line: Line) -> None:
        text = scene.s3(line, "POST", f"{path}/parts?uploads=").body.decode()
        upload[:] = [text.partition("<UploadId>")[2].partition("</UploadId>")[0]]

    def part(line: Line) -> int:
        given = upload[0] if upload else "none"
        return line.ask(scene.owner.s3, "PUT", f"{path}/parts?partNumber=1&uploadId={given}", b"x").status

    return Fact(part, [
        (begin, 200),
        (lambda line: scene.s3(line, "DELETE", f"{path}/parts?uploadId={upload[0]}"), 404),
    ])  # fmt: skip
