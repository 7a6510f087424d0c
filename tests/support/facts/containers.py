"""Swift's accounts and containers: metadata, access lists, quotas, keys of temporary URLs, versioning."""

from __future__ import annotations

import hmac
from functools import partial

from tests.support.facts.buckets import version_kind
from tests.support.facts.scene import Fact, Scene, fact, good
from tests.support.workers import Headers, Line, anyone

FOR_EVER = 4_000_000_000


def post(scene: Scene, path: str, headers: Headers, line: Line) -> None:
    scene.swift(line, "POST", path, headers=headers)


def header(scene: Scene, path: str, name: str, line: Line) -> str | None:
    """A header of what the owner sees."""
    return scene.swift(line, "HEAD", path).headers.get(name)


def temporary(target: str, key: str, line: Line) -> int:
    """What a temporary URL for a GET gets."""
    signature = hmac.digest(key.encode(), f"GET\n{FOR_EVER}\n{target}".encode(), "sha256").hex()
    return line.ask(anyone, "GET", f"{target}?temp_url_sig={signature}&temp_url_expires={FOR_EVER}").status


@fact
def a_container_is_there(scene: Scene, line: Line) -> Fact:
    path = f"/{scene.name()}"
    return Fact(lambda line: line.ask(scene.owner.swift, "HEAD", scene.owner.account + path).status, [
        (lambda line: scene.swift(line, "PUT", path), 204),
        (lambda line: scene.s3(line, "DELETE", path), 404),
        (lambda line: scene.s3(line, "PUT", path), 204),
        (lambda line: scene.swift(line, "DELETE", path), 404),
    ])  # fmt: skip


@fact
def metadata_of_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(header, scene, path, "x-container-meta-color"), [
        (partial(post, scene, path, {"X-Container-Meta-Color": "red"}), "red"),
        (partial(post, scene, path, {"X-Container-Meta-Color": "blue"}), "blue"),
        (partial(post, scene, path, {"X-Remove-Container-Meta-Color": "x"}), None),
    ])  # fmt: skip


@fact
def metadata_of_an_account(scene: Scene, line: Line) -> Fact:
    return Fact(partial(header, scene, "", "x-account-meta-color"), [
        (partial(post, scene, "", {"X-Account-Meta-Color": "red"}), "red"),
        (partial(post, scene, "", {"X-Account-Meta-Color": "blue"}), "blue"),
    ])  # fmt: skip


@fact
def who_may_read_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    target = f"{scene.owner.account}{path}/k"
    return Fact(lambda line: line.ask(anyone, "GET", target).status, [
        (partial(post, scene, path, {"X-Container-Read": ".r:*"}), 200),
        (partial(post, scene, path, {"X-Container-Read": ""}), 401),
    ])  # fmt: skip


@fact
def who_may_write_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    target = f"{scene.owner.account}{path}/theirs"
    return Fact(lambda line: line.ask(scene.other.swift, "PUT", target).status, [
        (partial(post, scene, path, {"X-Container-Write": f"{scene.other.project}:*"}), 201),
        (partial(post, scene, path, {"X-Container-Write": ""}), 403),
    ])  # fmt: skip


@fact
def the_key_of_temporary_urls_of_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(temporary, f"{scene.owner.account}{path}/k", "first"), [
        (partial(post, scene, path, {"X-Container-Meta-Temp-URL-Key": "first"}), 200),
        (partial(post, scene, path, {"X-Container-Meta-Temp-URL-Key": "second"}), 401),
    ])  # fmt: skip


@fact
def the_key_of_temporary_urls_of_an_account(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(temporary, f"{scene.owner.account}{path}/k", "first"), [
        (partial(post, scene, "", {"X-Account-Meta-Temp-URL-Key": "first"}), 200),
        (partial(post, scene, "", {"X-Account-Meta-Temp-URL-Key": "second"}), 401),
    ])  # fmt: skip


@fact
def the_quota_of_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    target = f"{scene.owner.account}{path}"
    return Fact(lambda line: line.ask(scene.owner.swift, "PUT", f"{target}/{scene.name()}", b"0123456789").status, [
        (partial(post, scene, path, {"X-Container-Meta-Quota-Bytes": "8"}), 413),
        (partial(post, scene, path, {"X-Container-Meta-Quota-Bytes": "1000000"}), 201),
    ])  # fmt: skip


@fact
def the_quota_of_an_account(scene: Scene, line: Line) -> Fact:
    person, path = scene.person("limited"), f"/{scene.name()}"
    account = person.account
    good(line.ask(person.swift, "PUT", account + path), "PUT of a container")
    reseller = scene.person("reseller", ("ResellerAdmin",)).swift

    def limit(size: str, line: Line) -> None:
        good(line.ask(reseller, "POST", account, headers={"X-Account-Meta-Quota-Bytes": size}), "the quota")

    target = f"{account}{path}"
    return Fact(lambda line: line.ask(person.swift, "PUT", f"{target}/{scene.name()}", b"0123456789").status, [
        (partial(limit, "1"), 413),
        (partial(limit, ""), 201),
    ])  # fmt: skip


@fact
def the_versioning_of_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(version_kind, scene, path), [
        (partial(post, scene, path, {"X-Versions-Enabled": "true"}), "id"),
        (partial(post, scene, path, {"X-Versions-Enabled": "false"}), "none"),
    ])  # fmt: skip


@fact
def the_etags_of_a_container(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)

    def opaque(line: Line) -> bool:
        answer = line.ask(scene.owner.s3, "PUT", f"{path}/{scene.name()}", b"x")
        return good(answer, "PUT").headers["etag"].strip('"').endswith("-0")

    return Fact(opaque, [
        (partial(post, scene, path, {"X-Container-Etag": "opaque"}), True),
        (partial(post, scene, path, {"X-Container-Etag": "md5"}), False),
    ])  # fmt: skip
