"""Encryption keys: changed by the operator's command, used by the workers."""

from __future__ import annotations

import json
from functools import partial

from tests.support.facts.objects import body
from tests.support.facts.scene import Fact, Scene, fact
from tests.support.workers import Line

DEFAULT = (
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{}</KMSMasterKeyID>"
    "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)


def named_key(scene: Scene) -> tuple[str, str]:
    """(name, id) of a new key of the owner."""
    name = scene.name("key")
    done = scene.installation.run("keys", "create", scene.owner.project, "--name", name, "--json")
    return name, str(json.loads(done.stdout)["id"])


def sealed(scene: Scene, line: Line) -> tuple[str, str]:
    """(path of an object, id of a new key that it is under); the object's bytes are `sealed`."""
    target = f"{scene.bucket(line)}/k"
    name, key = named_key(scene)
    wanted = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": name}
    scene.s3(line, "PUT", target, b"sealed", wanted)
    return target, key


@fact
def a_key_of_a_tenant(scene: Scene, line: Line) -> Fact:
    target, key = sealed(scene, line)
    return Fact(partial(body, scene, target), [
        (lambda line: scene.installation.run("keys", "disable", key), 403),
        (lambda line: scene.installation.run("keys", "enable", key), b"sealed"),
    ])  # fmt: skip


@fact
def a_key_to_write_under(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    name, key = named_key(scene)
    scene.s3(line, "PUT", f"{path}?encryption=", DEFAULT.format(name))
    return Fact(lambda line: line.ask(scene.owner.s3, "PUT", f"{path}/k", b"x").status, [
        (lambda line: scene.installation.run("keys", "disable", key), 403),
        (lambda line: scene.installation.run("keys", "enable", key), 200),
    ])  # fmt: skip


@fact
def a_destroyed_key(scene: Scene, line: Line) -> Fact:
    target, key = sealed(scene, line)
    return Fact(partial(body, scene, target), [
        (lambda line: None, b"sealed"),
        (lambda line: scene.installation.run("keys", "destroy", key, "--yes"), 403),
    ], again=False)  # fmt: skip


@fact
def the_default_encryption(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    name, _ = named_key(scene)

    def used(line: Line) -> str | None:
        return scene.s3(line, "PUT", f"{path}/k", b"x").headers.get("x-amz-server-side-encryption")

    return Fact(used, [
        (lambda line: scene.s3(line, "PUT", f"{path}?encryption=", DEFAULT.format(name)), "aws:kms"),
        (lambda line: scene.s3(line, "DELETE", f"{path}?encryption="), None),
    ])  # fmt: skip
