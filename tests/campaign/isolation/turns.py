"""Every kind of rule that lets somebody in, with the way to give it and the way to take it away.

A rule is a function: it prepares, and returns (give, take, probes). The test gives and takes it in turn and asks
every worker right afterwards: nothing that any of them keeps in memory may outlive the rule.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.house import House, Person
from tests.support.sigv4 import Signer

Do = Callable[[], object]
Probe = Callable[[int], int]
"""A request to the worker of this number; the status of its answer."""
ACL_XML = (
    "<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList><Grant><Grantee "
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>{grantee}</ID></Grantee>'
    "<Permission>{permission}</Permission></Grant></AccessControlList></AccessControlPolicy>"
)
BLOCK = (
    "<PublicAccessBlockConfiguration><IgnorePublicAcls>{ignore}</IgnorePublicAcls>"
    "<RestrictPublicBuckets>{restrict}</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
)
OWNERSHIP = "<OwnershipControls><Rule><ObjectOwnership>{rule}</ObjectOwnership></Rule></OwnershipControls>"
TAGS = "<Tagging><TagSet><Tag><Key>level</Key><Value>{value}</Value></Tag></TagSet></Tagging>"


def fields(words: dict[str, str]) -> dict[str, str]:
    """Headers from keyword arguments: `x_amz_acl` is x-amz-acl."""
    return {name.replace("_", "-"): value for name, value in words.items()}


@dataclass
class Scene:
    """Two projects: `owner` has a bucket `box` with the key `k`; `guest` works in the other; `chief` manages the
    first. `turn` counts the changes, so that names can be new every time."""

    house: House
    own: str
    far: str
    owner: Person
    chief: Person
    guest: Person
    turn: int = 0
    kept: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, house: House) -> Scene:
        own, far = house.project("own"), house.project("far")
        scene = cls(
            house, own, far, house.person("owner", own), house.person("chief", own, "manager"),
            house.person("guest", far),
        )  # fmt: skip
        scene.done(house.s3(scene.owner, "PUT", "/box"))
        scene.done(house.s3(scene.owner, "PUT", "/box/k", b"data"))
        return scene

    # --- doing, which must succeed
    @staticmethod
    def done(answer: Any) -> Any:
        assert answer.status < 300, (answer.status, answer.raw)
        return answer

    def put(self, target: str, body: str = "", who: Person | None = None, **headers: str) -> Do:
        return lambda: self.done(self.house.s3(who or self.owner, "PUT", target, body.encode(), fields(headers)))

    def delete(self, target: str, who: Person | None = None) -> Do:
        return lambda: self.done(self.house.s3(who or self.owner, "DELETE", target))

    def post(self, path: str, **headers: str) -> Do:
        where = f"{self.owner.account}{path}"
        return lambda: self.done(self.house.swift(self.owner, "POST", where, headers=fields(headers)))

    def identity(self, method: str, path: str, body: Any = None) -> None:
        """A change by the administrator, at once."""
        self.done(self.house.world.do(method, path, body))

    def api(self, method: str, path: str, body: Any = None) -> Do:
        """The same when it is called for."""
        return lambda: self.identity(method, path, body)

    # --- asking, whose status is looked at
    def s3(self, who: Person | Signer | None, method: str = "GET", target: str = "/box/k", **headers: str) -> Probe:
        body = b"new" if method == "PUT" else b""
        return lambda worker: self.house.s3(who, method, target, body, fields(headers), worker).status

    def swift(self, who: Person | str | None, method: str = "GET", path: str = "/box/k", **headers: str) -> Probe:
        body = b"new" if method == "PUT" else b""
        where = f"{self.owner.account}{path}"
        return lambda worker: self.house.swift(who, method, where, body, fields(headers), worker).status

    def both(self, who: Person) -> list[Probe]:
        return [self.s3(who), self.swift(who)]


Turns = tuple[Do, Do, list[Probe]]
Rule = Callable[[Scene], Turns]
RULES: dict[str, Rule] = {}


def rule(make: Rule) -> Rule:
    RULES[make.__name__] = make
    return make


def statement(**fields: Any) -> str:
    base = {
        "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::box", "arn:aws:s3:::box/*"],
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [{**base, **fields}]})


# --- bucket policies
def _policy(scene: Scene, probes: list[Probe], **fields: Any) -> Turns:
    return scene.put("/box?policy", statement(**fields)), scene.delete("/box?policy"), probes


@rule
def policy_for_a_project(s: Scene) -> Turns:
    probes = [*s.both(s.guest), s.s3(s.guest, target="/box"), s.s3(s.guest, "PUT", "/box/guests")]
    return _policy(s, probes, Principal={"AWS": f"arn:aws:iam::{s.far}:root"})


@rule
def policy_for_a_user(s: Scene) -> Turns:
    return _policy(s, s.both(s.guest), Principal={"AWS": f"arn:aws:iam::{s.far}:user/{s.guest.user_id}"})


@rule
def policy_for_everyone(s: Scene) -> Turns:
    return _policy(s, [*s.both(s.guest), s.s3(None), s.swift(None)])


@rule
def policy_with_a_condition(s: Scene) -> Turns:
    give = s.put("/box?policy", statement(Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))
    take = s.put("/box?policy", statement(Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}))
    return give, take, [*s.both(s.guest), s.s3(None)]


@rule
def policy_by_tag_of_the_object(s: Scene) -> Turns:
    s.put("/box?policy", statement(Condition={"StringEquals": {"s3:ExistingObjectTag/level": "open"}}))()
    return (
        s.put("/box/k?tagging", TAGS.format(value="open")),
        s.put("/box/k?tagging", TAGS.format(value="shut")),
        [
            *s.both(s.guest),
            s.s3(None),
        ],
    )


@rule
def deny_that_is_lifted(s: Scene) -> Turns:
    take = s.put("/box?policy", statement(Effect="Deny", Action="s3:GetObject"), s.chief)
    return s.delete("/box?policy", s.chief), take, [*s.both(s.owner), *s.both(s.chief)]


@rule
def restricted_public_policy(s: Scene) -> Turns:
    s.put("/box?policy", statement())()
    give = s.delete("/box?publicAccessBlock")
    take = s.put("/box?publicAccessBlock", BLOCK.format(ignore="false", restrict="true"))
    return give, take, [*s.both(s.guest), s.s3(None), s.swift(None)]


# --- ACLs of S3
@rule
def bucket_acl_public(s: Scene) -> Turns:
    probes = [s.s3(None, target="/box"), s.s3(s.guest, target="/box?versions"), s.swift(None, path="/box")]
    return s.put("/box?acl", x_amz_acl="public-read"), s.put("/box?acl", x_amz_acl="private"), probes


@rule
def bucket_acl_for_a_project(s: Scene) -> Turns:
    give = s.put("/box?acl", ACL_XML.format(owner=s.own, grantee=s.far, permission="WRITE"))
    return (
        give,
        s.put("/box?acl", x_amz_acl="private"),
        [
            s.s3(s.guest, "PUT", "/box/guests"),
            s.swift(s.guest, "PUT", "/box/guests"),
        ],
    )


@rule
def object_acl_public(s: Scene) -> Turns:
    give, take = s.put("/box/k?acl", x_amz_acl="public-read"), s.put("/box/k?acl", x_amz_acl="private")
    return give, take, [*s.both(s.guest), s.s3(None), s.swift(None)]


@rule
def object_acl_for_a_project(s: Scene) -> Turns:
    give = s.put("/box/k?acl", ACL_XML.format(owner=s.own, grantee=s.far, permission="READ"))
    return give, s.put("/box/k?acl", x_amz_acl="private"), s.both(s.guest)


@rule
def object_replaced(s: Scene) -> Turns:
    """The ACL of an object does not outlive it."""
    give, take = s.put("/box/k", "again", x_amz_acl="public-read"), s.put("/box/k", "anew")
    return give, take, [*s.both(s.guest), s.s3(None), s.swift(None)]


@rule
def object_removed_and_made_again(s: Scene) -> Turns:
    def take() -> None:
        s.delete("/box/k")()
        s.put("/box/k", "anew")()

    return s.put("/box/k", "again", x_amz_acl="public-read"), take, [*s.both(s.guest), s.s3(None)]


@rule
def public_acls_ignored(s: Scene) -> Turns:
    s.put("/box?acl", x_amz_acl="public-read")()
    s.put("/box/k?acl", x_amz_acl="public-read")()
    take = s.put("/box?publicAccessBlock", BLOCK.format(ignore="true", restrict="false"))
    probes = [*s.both(s.guest), s.s3(None), s.swift(None), s.s3(None, target="/box")]
    return s.delete("/box?publicAccessBlock"), take, probes


@rule
def acls_switched_off(s: Scene) -> Turns:
    s.put("/box/k?acl", ACL_XML.format(owner=s.own, grantee=s.far, permission="READ"))()
    give = s.put("/box?ownershipControls", OWNERSHIP.format(rule="ObjectWriter"))
    return give, s.put("/box?ownershipControls", OWNERSHIP.format(rule="BucketOwnerEnforced")), s.both(s.guest)


# --- ACLs of Swift
@rule
def read_list_for_referrers(s: Scene) -> Turns:
    probes = [*s.both(s.guest), s.s3(None), s.swift(None)]
    return s.post("/box", X_Container_Read=".r:*"), s.post("/box", X_Remove_Container_Read="x"), probes


@rule
def read_list_for_one_host(s: Scene) -> Turns:
    give = s.post("/box", X_Container_Read=".r:page.test")
    probes = [s.s3(None, Referer="http://page.test/a"), s.swift(None, Referer="http://page.test/a")]
    return give, s.post("/box", X_Container_Read=".r:page.test,.r:-page.test"), probes


@rule
def read_list_for_listings(s: Scene) -> Turns:
    give, take = s.post("/box", X_Container_Read=".r:*,.rlistings"), s.post("/box", X_Container_Read=".r:*")
    return give, take, [s.s3(None, target="/box"), s.swift(None, path="/box"), s.swift(s.guest, path="/box")]


@rule
def read_list_for_a_user(s: Scene) -> Turns:
    give = s.post("/box", X_Container_Read=f"{s.far}:{s.guest.user_id}")
    return give, s.post("/box", X_Container_Read=""), [*s.both(s.guest), s.s3(s.guest, target="/box")]


@rule
def write_list_for_a_project(s: Scene) -> Turns:
    give = s.post("/box", X_Container_Write=f"{s.far}:*")
    probes = [s.s3(s.guest, "PUT", "/box/guests"), s.swift(s.guest, "PUT", "/box/guests")]
    return give, s.post("/box", X_Remove_Container_Write="x"), probes


# --- signed URLs
def _tempurl(s: Scene, key: bytes) -> Probe:
    expires = s.house.clock.now_us() // 1_000_000 + 3600
    text = f"GET\n{expires}\n/v1/{s.owner.account}/box/k".encode()
    path = f"/box/k?temp_url_sig={hmac.digest(key, text, 'sha256').hex()}&temp_url_expires={expires}"
    return s.swift(None, path=path)


@rule
def key_of_temporary_urls_of_the_account(s: Scene) -> Turns:
    give, take = s.post("", X_Account_Meta_Temp_URL_Key="one"), s.post("", X_Account_Meta_Temp_URL_Key="two")
    return give, take, [_tempurl(s, b"one")]


@rule
def key_of_temporary_urls_of_the_container(s: Scene) -> Turns:
    give = s.post("/box", X_Container_Meta_Temp_URL_Key_2="one")
    return give, s.post("/box", X_Remove_Container_Meta_Temp_URL_Key_2="x"), [_tempurl(s, b"one")]


# --- names
@rule
def name_of_a_bucket(s: Scene) -> Turns:
    """A name given back and taken by somebody else leads to the new bucket and its rules only."""

    def give() -> None:
        if s.kept.pop("theirs", False):
            s.delete("/site/k", s.guest)()
            s.delete("/site", s.guest)()
        s.put("/site")()
        s.put("/site/k", "mine")()

    def take() -> None:
        s.delete("/site/k")()
        s.delete("/site")()
        s.put("/site", who=s.guest)()
        s.put("/site/k", "theirs", s.guest)()
        s.kept["theirs"] = True

    return give, take, [s.s3(s.owner, target="/site/k"), s.s3(s.owner, target="/site?acl")]
