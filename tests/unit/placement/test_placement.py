"""Placement over the API, by microversion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cloud import Answer
from tests.support.hosted_api import Hosted

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
KID = "33333333-3333-4333-8333-333333333333"
GUEST = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
OTHER = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
ZONE = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
STOCK = {"VCPU": {"total": 8, "allocation_ratio": 2.0}, "MEMORY_MB": {"total": 4096, "reserved": 1024},
         "DISK_GB": {"total": 100, "max_unit": 50, "step_size": 5}}  # fmt: skip


class Books:
    """Calls of the operator at one microversion, the newest unless told."""

    def __init__(self, hosted: Hosted) -> None:
        self.hosted = hosted

    def call(self, method: str, path: str, body: Any = None, minor: int = 39) -> Answer:
        headers = {"openstack-api-version": f"placement 1.{minor}"}
        return self.hosted.call(method, f"/placement{path}", self.hosted.admin, body, headers)

    def get(self, path: str, minor: int = 39) -> Any:
        answer = self.call("GET", path, minor=minor)
        assert answer.status == 200, answer.raw
        return answer.json

    def generation(self, provider: str) -> int:
        return int(self.get(f"/resource_providers/{provider}")["generation"])

    def provider(self, uuid: str, name: str, parent: str | None = None) -> None:
        body = {"name": name, "uuid": uuid, **({"parent_provider_uuid": parent} if parent else {})}
        assert self.call("POST", "/resource_providers", body).status == 200

    def stock(self, uuid: str, inventories: Any) -> None:
        body = {"resource_provider_generation": self.generation(uuid), "inventories": inventories}
        answer = self.call("PUT", f"/resource_providers/{uuid}/inventories", body)
        assert answer.status == 200, answer.raw

    def claim(self, consumer: str, resources: Any, generation: int | None = None) -> Answer:
        body = {"allocations": {each: {"resources": part} for each, part in resources.items()}, "project_id": "p",
                "user_id": "u", "consumer_generation": generation, "consumer_type": "INSTANCE"}  # fmt: skip
        return self.call("PUT", f"/allocations/{consumer}", body)


@pytest.fixture
def books(hosted: Hosted) -> Books:
    made = Books(hosted)
    made.provider(ONE, "one")
    made.stock(ONE, STOCK)
    return made


def code(answer: Answer) -> str:
    (error,) = answer.json["errors"]
    assert error["status"] == answer.status
    assert error["request_id"] == answer.headers["x-openstack-request-id"]
    return str(error["code"])


def test_versions(hosted: Hosted) -> None:
    root = hosted.call("GET", "/placement", None)
    assert root.status == 200
    (version,) = root.json["versions"]
    assert (version["id"], version["min_version"], version["max_version"]) == ("v1.0", "1.0", "1.39")
    refused = Books(hosted).call("GET", "/traits", minor=40)
    assert refused.status == 406
    assert refused.json["errors"][0]["max_version"] == "1.39"
    assert Books(hosted).call("GET", "/traits", minor=5).status == 404
    echoed = Books(hosted).call("GET", "/traits", minor=6)
    assert echoed.headers["openstack-api-version"] == "placement 1.6"
    assert "cache-control" not in echoed.headers
    assert Books(hosted).call("GET", "/traits", minor=15).headers["cache-control"] == "no-cache"


def test_who_may(hosted: Hosted) -> None:
    for path in ("/resource_providers", "/traits", "/allocations/x"):
        for token in (hosted.member, hosted.reader):
            answer = hosted.call("GET", f"/placement{path}", token, None, {"openstack-api-version": "placement 1.39"})
            assert answer.status == 403, path
    headers = {"openstack-api-version": "placement 1.9"}
    own = f"/placement/usages?project_id={hosted.project_id}"
    assert hosted.call("GET", own, hosted.reader, None, headers).json == {"usages": {}}
    assert hosted.call("GET", own, hosted.other, None, headers).status == 403


def test_providers(books: Books) -> None:
    old = books.get(f"/resource_providers/{ONE}", 0)
    assert set(old) == {"uuid", "name", "generation", "links"}
    assert [link["rel"] for link in old["links"]] == ["self", "inventories", "usages"]
    new = books.get(f"/resource_providers/{ONE}")
    assert (new["root_provider_uuid"], new["parent_provider_uuid"]) == (ONE, None)
    assert [link["rel"] for link in new["links"]][-1] == "allocations"
    assert new["links"][0]["href"] == f"/placement/resource_providers/{ONE}"
    made = books.call("POST", "/resource_providers", {"name": "plain"}, 19)
    assert (made.status, made.raw) == (201, b"")
    plain = made.headers["location"].rpartition("/")[2]
    assert code(books.call("POST", "/resource_providers", {"name": "plain"})) == "placement.duplicate_name"
    assert code(books.call("PUT", f"/resource_providers/{plain}", {"name": "one"})) == "placement.duplicate_name"
    assert books.call("PUT", f"/resource_providers/{plain}", {"name": "dull"}).json["name"] == "dull"
    for body in ({}, {"name": ""}, {"name": "x", "color": "red"}, {"name": "x", "uuid": "7"}):
        assert books.call("POST", "/resource_providers", body).status == 400
    assert books.call("POST", "/resource_providers", {"name": "x", "parent_provider_uuid": ONE}, 13).status == 400
    assert books.call("POST", "/resource_providers", {"name": "x", "parent_provider_uuid": TWO}).status == 400
    assert books.call("DELETE", f"/resource_providers/{plain}").status == 204
    gone = books.call("DELETE", f"/resource_providers/{plain}")
    assert (gone.status, code(gone)) == (404, "placement.resource_provider.not_found")


def test_trees(books: Books) -> None:
    books.provider(KID, "kid", ONE)
    books.provider(TWO, "two")
    assert books.get(f"/resource_providers/{KID}")["root_provider_uuid"] == ONE
    found = books.call("DELETE", f"/resource_providers/{ONE}")
    assert code(found) == "placement.resource_provider.cannot_delete_parent"
    move = {"name": "kid", "parent_provider_uuid": TWO}
    assert books.call("PUT", f"/resource_providers/{KID}", move, 36).status == 400
    assert books.call("PUT", f"/resource_providers/{KID}", move).json["root_provider_uuid"] == TWO
    loop = {"name": "two", "parent_provider_uuid": KID}
    assert books.call("PUT", f"/resource_providers/{TWO}", loop).status == 400
    assert books.call("PUT", f"/resource_providers/{TWO}", {"name": "two", "parent_provider_uuid": TWO}).status == 400
    assert books.call("PUT", f"/resource_providers/{TWO}", {"name": "two", "parent_provider_uuid": ONE}).status == 200
    assert books.get(f"/resource_providers/{KID}")["root_provider_uuid"] == ONE
    inside = books.get(f"/resource_providers?in_tree={KID}")["resource_providers"]
    assert {row["uuid"] for row in inside} == {ONE, TWO, KID}
    free = {"name": "two", "parent_provider_uuid": None}
    assert books.call("PUT", f"/resource_providers/{TWO}", free).json["parent_provider_uuid"] is None


def test_inventories(books: Books) -> None:
    where = f"/resource_providers/{ONE}/inventories"
    shown = books.get(where)
    assert shown["resource_provider_generation"] == books.generation(ONE)
    assert shown["inventories"]["VCPU"] == {
        "total": 8, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 2.0,
    }  # fmt: skip
    stale = {"resource_provider_generation": 0, "inventories": {}}
    answer = books.call("PUT", where, stale)
    assert (answer.status, code(answer)) == (409, "placement.concurrent_update")
    added = books.call("POST", where, {"resource_class": "PCPU", "total": 2})
    assert (added.status, added.json["resource_class"]) == (201, "PCPU")
    assert added.headers["location"] == f"/placement{where}/PCPU"
    assert books.call("POST", where, {"resource_class": "PCPU", "total": 2}).status == 409
    assert books.call("POST", where, {"total": 2}).status == 400
    assert books.get(f"{where}/PCPU")["total"] == 2
    change = {"resource_provider_generation": books.generation(ONE), "total": 3, "reserved": 3}
    assert books.call("PUT", f"{where}/PCPU", change, 25).status == 400
    assert books.call("PUT", f"{where}/PCPU", change, 26).json["total"] == 3
    assert books.call("PUT", f"{where}/PCPU", {"total": 3}).status == 400
    assert books.call("PUT", f"{where}/VGPU", {**change, "resource_provider_generation": 1}).status == 400
    assert books.call("GET", f"{where}/VGPU").status == 404
    assert books.call("DELETE", f"{where}/VGPU").status == 404
    assert books.call("DELETE", f"{where}/PCPU").status == 204
    unknown = {"resource_provider_generation": books.generation(ONE), "inventories": {"CUSTOM_X": {"total": 1}}}
    assert books.call("PUT", where, unknown).status == 400
    assert books.claim(GUEST, {ONE: {"VCPU": 1}}).status == 204
    empty = {"resource_provider_generation": books.generation(ONE), "inventories": {}}
    assert code(books.call("PUT", where, empty)) == "placement.inventory.inuse"
    assert code(books.call("DELETE", where)) == "placement.inventory.inuse"
    assert books.call("DELETE", f"/allocations/{GUEST}").status == 204
    assert books.call("DELETE", where).status == 204
    assert books.get(where)["inventories"] == {}


def test_names(books: Books) -> None:
    classes = [row["name"] for row in books.get("/resource_classes")["resource_classes"]]
    assert classes[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    assert books.call("POST", "/resource_classes", {"name": "CUSTOM_A"}).status == 201
    assert books.call("POST", "/resource_classes", {"name": "CUSTOM_A"}).status == 409
    assert books.call("POST", "/resource_classes", {"name": "GOLD"}).status == 400
    assert books.call("PUT", "/resource_classes/CUSTOM_A").status == 204
    assert books.call("PUT", "/resource_classes/CUSTOM_B").status == 201
    renamed = books.call("PUT", "/resource_classes/CUSTOM_B", {"name": "CUSTOM_C"}, 6)
    assert renamed.json["name"] == "CUSTOM_C"
    assert books.call("PUT", "/resource_classes/CUSTOM_C", {"name": "CUSTOM_A"}, 6).status == 409
    assert books.get("/resource_classes/CUSTOM_C")["links"][0]["href"] == "/placement/resource_classes/CUSTOM_C"
    for name, status in (("VCPU", 400), ("CUSTOM_C", 204), ("CUSTOM_C", 404)):
        assert books.call("DELETE", f"/resource_classes/{name}").status == status
    books.call("POST", f"/resource_providers/{ONE}/inventories", {"resource_class": "CUSTOM_A", "total": 1})
    assert books.call("DELETE", "/resource_classes/CUSTOM_A").status == 409
    assert books.call("GET", "/resource_classes/CUSTOM_Z").status == 404


def test_traits(books: Books) -> None:
    assert books.call("PUT", "/traits/CUSTOM_FAST").status == 201
    assert books.call("PUT", "/traits/CUSTOM_FAST").status == 204
    assert books.call("PUT", "/traits/FAST").status == 400
    assert books.call("GET", "/traits/CUSTOM_FAST").status == 204
    assert books.call("GET", "/traits/CUSTOM_SLOW").status == 404
    where = f"/resource_providers/{ONE}/traits"
    body = {"resource_provider_generation": books.generation(ONE), "traits": ["CUSTOM_FAST", "HW_CPU_X86_AVX2"]}
    assert books.call("PUT", where, {**body, "traits": ["NONE"]}).status == 400
    put = books.call("PUT", where, body)
    assert put.json == {"traits": sorted(body["traits"]), "resource_provider_generation": books.generation(ONE)}
    assert code(books.call("PUT", where, body)) == "placement.concurrent_update"
    assert books.get("/traits?associated=true")["traits"] == ["HW_CPU_X86_AVX2", "CUSTOM_FAST"]
    assert books.get("/traits?name=startswith:CUSTOM_")["traits"] == ["CUSTOM_FAST"]
    assert books.get("/traits?name=in:CUSTOM_FAST,COMPUTE_NODE")["traits"] == ["COMPUTE_NODE", "CUSTOM_FAST"]
    assert "CUSTOM_FAST" not in books.get("/traits?associated=false")["traits"]
    for query in ("name=x", "associated=x", "color=red", "name=in:A&name=in:B"):
        assert books.call("GET", f"/traits?{query}").status == 400
    assert books.call("DELETE", "/traits/CUSTOM_FAST").status == 409
    assert books.call("DELETE", "/traits/COMPUTE_NODE").status == 400
    assert books.call("DELETE", where).status == 204
    assert books.get(where)["traits"] == []
    assert books.call("DELETE", "/traits/CUSTOM_FAST").status == 204


def test_aggregates(books: Books) -> None:
    where = f"/resource_providers/{ONE}/aggregates"
    assert books.call("PUT", where, [ZONE], 18).json == {"aggregates": [ZONE]}
    assert books.call("PUT", where, [ZONE]).status == 400
    assert books.call("PUT", where, {"aggregates": [], "resource_provider_generation": 0}, 18).status == 400
    assert code(books.call("PUT", where, {"aggregates": [], "resource_provider_generation": 99})) == (
        "placement.concurrent_update"
    )
    body = {"aggregates": [ZONE, OTHER], "resource_provider_generation": books.generation(ONE)}
    assert books.call("PUT", where, body).json["aggregates"] == [OTHER, ZONE]
    assert books.get(where, 1) == {"aggregates": [OTHER, ZONE]}


def test_lists_of_providers(books: Books) -> None:
    books.provider(TWO, "two")
    books.stock(TWO, {"VCPU": {"total": 2}})
    books.call("PUT", f"/resource_providers/{ONE}/aggregates", [ZONE], 18)
    books.call("PUT", f"/resource_providers/{TWO}/traits",
               {"resource_provider_generation": books.generation(TWO), "traits": ["STORAGE_DISK_SSD"]})  # fmt: skip

    def names(query: str, minor: int = 39) -> list[str]:
        return [row["name"] for row in books.get(f"/resource_providers?{query}", minor)["resource_providers"]]

    assert names("", 0) == ["one", "two"]
    assert names("name=two", 0) == ["two"]
    assert names(f"uuid={ONE}", 0) == ["one"]
    assert names(f"member_of={ZONE}", 3) == ["one"]
    assert names(f"member_of=in:{ZONE},{OTHER}", 3) == ["one"]
    assert names(f"member_of=!{ZONE}") == ["two"]
    assert names(f"member_of={ZONE}&member_of={OTHER}") == []
    assert names("resources=VCPU:4", 4) == ["one"]
    assert names("resources=VCPU:1,DISK_GB:5") == ["one"]
    assert names("required=STORAGE_DISK_SSD", 18) == ["two"]
    assert names("required=!STORAGE_DISK_SSD", 22) == ["one"]
    assert names("required=in:STORAGE_DISK_SSD,STORAGE_DISK_HDD") == ["two"]
    assert names("required=in:STORAGE_DISK_SSD&required=STORAGE_DISK_HDD") == []
    for query, minor in (
        ("member_of=x", 39), (f"member_of={ZONE}", 2), ("resources=VCPU", 39), ("resources=VCPU:0", 39),
        ("resources=GOLD:1", 39), ("required=GOLD", 39), ("required=in:A", 38), ("required=!A", 21), ("color=x", 39),
        ("name=a&name=b", 39), ("uuid=7", 39), ("required=COMPUTE_NODE,!COMPUTE_NODE", 39), ("required=", 39),
        ("in_tree=x", 39), (f"member_of={ZONE}&member_of={ZONE}", 23),
    ):  # fmt: skip
        assert books.call("GET", f"/resource_providers?{query}", minor=minor).status == 400, (query, minor)


def test_allocations_by_microversion(books: Books) -> None:
    old = {"allocations": [{"resource_provider": {"uuid": ONE}, "resources": {"VCPU": 1}}]}
    where = f"/allocations/{GUEST}"
    assert books.get(where) == {"allocations": {}}
    assert books.call("PUT", where, old, 7).status == 204
    assert books.call("PUT", where, old, 8).status == 400
    assert books.call("PUT", where, {**old, "project_id": "p", "user_id": "u"}, 8).status == 204
    assert set(books.get(where, 8)) == {"allocations"}
    shape = {"allocations": {ONE: {"resources": {"VCPU": 2}}}, "project_id": "p", "user_id": "u"}
    assert books.call("PUT", where, shape, 11).status == 400
    assert books.call("PUT", where, shape, 12).status == 204
    assert books.call("PUT", where, {**shape, "allocations": {}}, 12).status == 400
    shown = books.get(where, 12)
    assert (shown["project_id"], shown["user_id"]) == ("p", "u")
    generation = books.get(where, 28)["consumer_generation"]
    assert books.call("PUT", where, shape, 28).status == 400
    stale = books.call("PUT", where, {**shape, "consumer_generation": None}, 28)
    assert (stale.status, code(stale)) == (409, "placement.concurrent_update")
    assert books.call("PUT", where, {**shape, "consumer_generation": generation}, 28).status == 204
    assert books.get(where)["consumer_type"] == "unknown"
    typed = {**shape, "consumer_generation": generation + 1, "consumer_type": "INSTANCE",
             "mappings": {"": [ONE]}}  # fmt: skip
    assert books.call("PUT", where, typed, 37).status == 400
    assert books.call("PUT", where, typed, 38).status == 204
    full = books.get(where)
    assert full["allocations"][ONE]["resources"] == {"VCPU": 2}
    assert full["consumer_type"] == "INSTANCE"
    shown = books.get(f"/resource_providers/{ONE}/allocations")
    assert shown["allocations"][GUEST] == {"resources": {"VCPU": 2}, "consumer_generation": full["consumer_generation"]}
    usages = books.get(f"/resource_providers/{ONE}/usages")["usages"]
    assert usages == {"VCPU": 2, "MEMORY_MB": 0, "DISK_GB": 0}
    assert books.get("/usages?project_id=p", 9) == {"usages": {"VCPU": 2}}
    assert books.get("/usages?project_id=p&user_id=v", 9) == {"usages": {}}
    assert books.get("/usages?project_id=p") == {"usages": {"INSTANCE": {"consumer_count": 1, "VCPU": 2}}}
    assert books.get("/usages?project_id=p&consumer_type=all")["usages"] == {"all": {"consumer_count": 1, "VCPU": 2}}
    assert books.get("/usages?project_id=p&consumer_type=unknown")["usages"] == {}
    assert books.call("GET", "/usages").status == 400
    emptied = {**typed, "allocations": {}, "consumer_generation": full["consumer_generation"]}
    del emptied["mappings"]
    assert books.call("PUT", where, emptied).status == 204
    assert books.get(where) == {"allocations": {}}
    assert books.call("DELETE", where).status == 404


def test_capacity_is_never_overshot(books: Books) -> None:
    for resources in (
        {"VCPU": 17}, {"MEMORY_MB": 3073}, {"DISK_GB": 55}, {"DISK_GB": 7}, {"VGPU": 1},
    ):  # fmt: skip
        assert books.claim(GUEST, {ONE: resources}).status == 409, resources
    assert books.claim(GUEST, {ONE: {"VCPU": 10}}).status == 204
    assert books.claim(OTHER, {ONE: {"VCPU": 7}}).status == 409
    assert books.claim(OTHER, {ONE: {"VCPU": 6}}).status == 204
    assert books.claim(GUEST, {TWO: {"VCPU": 1}}, 1).status == 400
    assert books.claim(GUEST, {ONE: {}}, 1).status == 400
    body = books.get(f"/allocations/{GUEST}")
    many = {
        GUEST: {**body, "allocations": {}},
        OTHER: {"allocations": {ONE: {"resources": {"VCPU": 16}}}, "project_id": "p", "user_id": "u",
                "consumer_generation": 1, "consumer_type": "INSTANCE"},
    }  # fmt: skip
    assert books.call("POST", "/allocations", many).status == 204
    assert books.get(f"/resource_providers/{ONE}/usages")["usages"]["VCPU"] == 16
    assert books.call("POST", "/allocations", {}).status == 400
    assert code(books.call("DELETE", f"/resource_providers/{ONE}")) == "placement.resource_provider.inuse"
    assert books.call("PUT", "/allocations/nobody", many[OTHER]).status == 400


def candidates(books: Books, query: str, minor: int = 39) -> Any:
    return books.get(f"/allocation_candidates?{query}", minor)


def test_candidates(books: Books) -> None:
    books.provider(TWO, "two")
    books.stock(TWO, {"VCPU": {"total": 2}, "MEMORY_MB": {"total": 512}})
    old = candidates(books, "resources=VCPU:1,MEMORY_MB:64", 10)
    first = {"resource_provider": {"uuid": ONE}, "resources": {"MEMORY_MB": 64, "VCPU": 1}}
    assert old["allocation_requests"][0] == {"allocations": [first]}
    assert set(old["provider_summaries"]) == {ONE, TWO}
    assert set(old["provider_summaries"][ONE]) == {"resources"}
    assert set(old["provider_summaries"][ONE]["resources"]) == {"VCPU", "MEMORY_MB"}
    new = candidates(books, "resources=VCPU:4")
    assert new["allocation_requests"] == [{"allocations": {ONE: {"resources": {"VCPU": 4}}}, "mappings": {"": [ONE]}}]
    assert new["provider_summaries"][ONE]["resources"]["VCPU"] == {"capacity": 16, "used": 0}
    assert "DISK_GB" in new["provider_summaries"][ONE]["resources"]
    assert new["provider_summaries"][ONE]["root_provider_uuid"] == ONE
    assert len(candidates(books, "resources=VCPU:1&limit=1")["allocation_requests"]) == 1
    assert candidates(books, f"resources=VCPU:1&in_tree={TWO}")["allocation_requests"][0]["mappings"] == {"": [TWO]}
    assert candidates(books, "resources=VCPU:99") == {"allocation_requests": [], "provider_summaries": {}}
    assert candidates(books, "resources=VCPU:1&root_required=COMPUTE_NODE")["allocation_requests"] == []
    assert len(candidates(books, "resources=VCPU:1&root_required=!COMPUTE_NODE")["allocation_requests"]) == 2


def test_candidates_in_trees_and_groups(books: Books) -> None:
    books.provider(KID, "kid", ONE)
    books.stock(KID, {"VGPU": {"total": 2}})
    books.provider(TWO, "two", ONE)
    books.stock(TWO, {"VGPU": {"total": 1}})
    both = candidates(books, "resources=VCPU:1,VGPU:1")
    assert {tuple(sorted(one["allocations"])) for one in both["allocation_requests"]} == {(ONE, KID), (ONE, TWO)}
    assert candidates(books, "resources=VCPU:1,VGPU:1", 28)["allocation_requests"] == []
    split = candidates(books, "resources=VCPU:1&resources1=VGPU:1&resources2=VGPU:1&group_policy=isolate")
    assert {(one["mappings"]["1"][0], one["mappings"]["2"][0]) for one in split["allocation_requests"]} == {
        (KID, TWO), (TWO, KID),
    }  # fmt: skip
    together = candidates(books, "resources1=VGPU:1&resources2=VGPU:1&group_policy=none")
    assert {KID: {"resources": {"VGPU": 2}}} in [one["allocations"] for one in together["allocation_requests"]]
    tree = "resources_A=VGPU:1&resources_B=VGPU:1&group_policy=none&same_subtree=_A,_B"
    assert all(one["mappings"]["_A"] == one["mappings"]["_B"] for one in candidates(books, tree)["allocation_requests"])
    root = candidates(books, "required_R=!COMPUTE_NODE&resources_A=VGPU:1&group_policy=none&same_subtree=_R,_A")
    assert {one["mappings"]["_R"][0] for one in root["allocation_requests"]} == {ONE, TWO, KID}
    member = candidates(books, f"resources=VGPU:1&member_of={ZONE}")
    assert member["allocation_requests"] == []


@pytest.mark.parametrize(
    ("query", "minor"),
    [
        ("", 39), ("required=COMPUTE_NODE", 39), ("resources=VCPU:1&limit=0", 39), ("resources=VCPU:1&limit=1", 15),
        ("resources1=VCPU:1", 24), ("resources1=VCPU:1&resources2=VCPU:1", 39), ("resources_A=VCPU:1", 32),
        ("resources=VCPU:1&group_policy=x", 39), ("resources=VCPU:1&same_subtree=_A", 39),
        ("resources=VCPU:1&required1=COMPUTE_NODE", 39), ("resources=VCPU:1&resources=VCPU:1", 39),
        ("resources=GOLD:1", 39), ("resources=VCPU:1&required=GOLD", 39), ("resources=VCPU:1&root_required=!A", 34),
        ("resources=VCPU:1&color=red", 39), ("resources=VCPU:1&in_tree=x", 39), ("resources=VCPU:1,VCPU:2", 39),
    ],
)  # fmt: skip
def test_requests_for_candidates_that_are_refused(books: Books, query: str, minor: int) -> None:
    answer = books.call("GET", f"/allocation_candidates?{query}", minor=minor)
    assert answer.status == 400, answer.raw
    code(answer)


def test_the_reshaper(books: Books) -> None:
    assert books.claim(GUEST, {ONE: {"VCPU": 2}}).status == 204
    books.provider(KID, "kid", ONE)
    body = {
        "inventories": {
            ONE: {"resource_provider_generation": books.generation(ONE), "inventories": {"MEMORY_MB": {"total": 10}}},
            KID: {"resource_provider_generation": books.generation(KID), "inventories": {"VCPU": {"total": 4}}},
        },
        "allocations": {
            GUEST: {"allocations": {KID: {"resources": {"VCPU": 2}}}, "project_id": "p", "user_id": "u",
                    "consumer_generation": 1, "consumer_type": "INSTANCE"},
        },
    }  # fmt: skip
    assert books.call("POST", "/reshaper", body, 29).status == 404
    assert books.call("POST", "/reshaper", body).status == 204
    assert list(books.get(f"/allocations/{GUEST}")["allocations"]) == [KID]
    assert list(books.get(f"/resource_providers/{ONE}/inventories")["inventories"]) == ["MEMORY_MB"]
    assert code(books.call("POST", "/reshaper", body)) == "placement.concurrent_update"
