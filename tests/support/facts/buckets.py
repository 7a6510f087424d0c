"""Buckets: that they are there, whose they are, and their documents."""

from __future__ import annotations

from functools import partial

from tests.support.facts.scene import Fact, Scene, fact, good
from tests.support.workers import Line, anyone

PUBLIC = {"x-amz-acl": "public-read"}
PRIVATE = {"x-amz-acl": "private"}
BLOCK = (
    "<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls>"
    "<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
)
CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>http://a.test</AllowedOrigin>"
    "<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)
OWNERSHIP = "<OwnershipControls><Rule><ObjectOwnership>{}</ObjectOwnership></Rule></OwnershipControls>"
LIFECYCLE = (
    "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix/></Filter>"
    "<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
)
LOCK = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)
WEBSITE = "<WebsiteConfiguration><IndexDocument><Suffix>{}</Suffix></IndexDocument></WebsiteConfiguration>"
SITES = "web.test"
"""The setting objects.website_domains of installations that facts are checked on."""


def status(scene: Scene, method: str, target: str, line: Line) -> int:
    """What the owner gets."""
    return line.ask(scene.owner.s3, method, target).status


def as_nobody(target: str, line: Line) -> int:
    """What nobody gets."""
    return line.ask(anyone, "GET", target).status


def version_kind(scene: Scene, path: str, line: Line) -> str:
    """Whether a put makes a version of its own, which then has an id."""
    found = scene.s3(line, "PUT", f"{path}/{scene.name()}", b"x").headers.get("x-amz-version-id")
    return "none" if found in (None, "null") else "id"


def versioning(scene: Scene, path: str, state: str, line: Line) -> None:
    scene.s3(line, "PUT", f"{path}?versioning=",
             f"<VersioningConfiguration><Status>{state}</Status></VersioningConfiguration>")  # fmt: skip


@fact
def a_bucket_is_there(scene: Scene, line: Line) -> Fact:
    path = f"/{scene.name()}"
    return Fact(partial(status, scene, "HEAD", path), [
        (lambda line: scene.s3(line, "PUT", path), 200),
        (lambda line: scene.s3(line, "DELETE", path), 404),
    ])  # fmt: skip


@fact
def a_bucket_takes_objects(scene: Scene, line: Line) -> Fact:
    path = f"/{scene.name()}"

    def remove(line: Line) -> None:
        scene.s3(line, "DELETE", f"{path}/k")
        scene.s3(line, "DELETE", path)

    return Fact(partial(status, scene, "PUT", f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", path), 200),
        (remove, 404),
    ], whole=False)  # fmt: skip


@fact
def whose_a_bucket_is(scene: Scene, line: Line) -> Fact:
    path = f"/{scene.name()}"

    def pass_on(line: Line) -> None:
        scene.s3(line, "DELETE", path)
        good(line.ask(scene.other.s3, "PUT", path), "PUT by the other")

    def back(line: Line) -> None:
        good(line.ask(scene.other.s3, "DELETE", path), "DELETE by the other")
        scene.s3(line, "PUT", path)

    scene.s3(line, "PUT", path)
    return Fact(partial(status, scene, "HEAD", path), [(pass_on, 403), (back, 200)], whole=False)


@fact
def the_versioning_of_a_bucket(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(version_kind, scene, path), [
        (partial(versioning, scene, path, "Enabled"), "id"),
        (partial(versioning, scene, path, "Suspended"), "none"),
    ])  # fmt: skip


@fact
def a_policy_that_lets_everyone_in(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(as_nobody, f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", f"{path}?policy=", scene.anyone_may(path)), 200),
        (lambda line: scene.s3(line, "DELETE", f"{path}?policy="), 403),
    ])  # fmt: skip


@fact
def a_policy_that_keeps_the_owner_out(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(status, scene, "GET", f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", f"{path}?policy=", scene.policy(path, "Deny", "*")), 403),
        (lambda line: scene.s3(line, "DELETE", f"{path}?policy="), 200),
    ])  # fmt: skip


@fact
def a_policy_that_keeps_the_owner_out_of_swift(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    target = f"{scene.owner.account}{path}/k"
    return Fact(lambda line: line.ask(scene.owner.swift, "GET", target).status, [
        (lambda line: scene.s3(line, "PUT", f"{path}?policy=", scene.policy(path, "Deny", "*")), 403),
        (lambda line: scene.s3(line, "DELETE", f"{path}?policy="), 200),
    ])  # fmt: skip


@fact
def a_policy_for_another_tenant(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    people = [{"AWS": scene.owner.project}, {"AWS": scene.other.project}]
    mine, theirs = (scene.policy(path, "Allow", who, "s3:PutObject") for who in people)
    return Fact(lambda line: line.ask(scene.other.s3, "PUT", f"{path}/{scene.name()}", b"x").status, [
        (lambda line: scene.s3(line, "PUT", f"{path}?policy=", theirs), 200),
        (lambda line: scene.s3(line, "PUT", f"{path}?policy=", mine), 403),
    ])  # fmt: skip


@fact
def the_public_access_block(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    scene.s3(line, "PUT", f"{path}?policy=", scene.anyone_may(path))
    return Fact(partial(as_nobody, f"{path}/k"), [
        (lambda line: scene.s3(line, "PUT", f"{path}?publicAccessBlock=", BLOCK), 403),
        (lambda line: scene.s3(line, "DELETE", f"{path}?publicAccessBlock="), 200),
    ])  # fmt: skip


@fact
def the_acl_of_a_bucket(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(partial(as_nobody, path), [
        (lambda line: scene.s3(line, "PUT", f"{path}?acl=", headers=PUBLIC), 200),
        (lambda line: scene.s3(line, "PUT", f"{path}?acl=", headers=PRIVATE), 403),
    ])  # fmt: skip


@fact
def the_ownership_rule(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    scene.s3(line, "PUT", f"{path}/k?acl=", headers=PUBLIC)

    def rule(name: str, line: Line) -> None:
        scene.s3(line, "PUT", f"{path}?ownershipControls=", OWNERSHIP.format(name))

    return Fact(partial(as_nobody, f"{path}/k"), [
        (partial(rule, "BucketOwnerEnforced"), 403),
        (partial(rule, "ObjectWriter"), 200),
    ])  # fmt: skip


@fact
def the_cors_rules(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    asked = {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"}
    return Fact(lambda line: line.ask(anyone, "OPTIONS", f"{path}/k", headers=asked).status, [
        (lambda line: scene.s3(line, "PUT", f"{path}?cors=", CORS), 200),
        (lambda line: scene.s3(line, "DELETE", f"{path}?cors="), 403),
    ])  # fmt: skip


@fact
def the_lifecycle_rules(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    return Fact(lambda line: "x-amz-expiration" in scene.s3(line, "HEAD", f"{path}/k").headers, [
        (lambda line: scene.s3(line, "PUT", f"{path}?lifecycle=", LIFECYCLE), True),
        (lambda line: scene.s3(line, "DELETE", f"{path}?lifecycle="), False),
    ])  # fmt: skip


@fact
def the_default_retention(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line, {"x-amz-bucket-object-lock-enabled": "true"})
    off = LOCK.partition("<Rule>")[0] + "</ObjectLockConfiguration>"

    def probe(line: Line) -> bool:
        target = f"{path}/{scene.name()}"
        scene.s3(line, "PUT", target, b"x")
        return "x-amz-object-lock-mode" in scene.s3(line, "HEAD", target).headers

    return Fact(probe, [
        (lambda line: scene.s3(line, "PUT", f"{path}?object-lock=", LOCK), True),
        (lambda line: scene.s3(line, "PUT", f"{path}?object-lock=", off), False),
    ])  # fmt: skip


@fact
def the_website(scene: Scene, line: Line) -> Fact:
    path = scene.bucket(line)
    scene.s3(line, "PUT", f"{path}?policy=", scene.anyone_may(path))
    for page in ("one", "two"):
        scene.s3(line, "PUT", f"{path}/{page}", page.encode())
    site = {"host": f"{path[1:]}.{SITES}"}
    return Fact(lambda line: line.ask(anyone, "GET", "/", headers=site).body, [
        (lambda line: scene.s3(line, "PUT", f"{path}?website=", WEBSITE.format("one")), b"one"),
        (lambda line: scene.s3(line, "PUT", f"{path}?website=", WEBSITE.format("two")), b"two"),
    ])  # fmt: skip
