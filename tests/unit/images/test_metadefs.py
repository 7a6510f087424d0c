"""Definitions of metadata through the API port."""

from typing import Any

import pytest

from tests.unit.images.gallery import Gallery

BASE = "/v2/metadefs/namespaces"


def made(gallery: Gallery, **fields: Any) -> dict[str, Any]:
    body = {"namespace": "N", "visibility": "public", "display_name": "n", "description": "text", **fields}
    answer = gallery.do("POST", BASE, body, gallery.cloud.admin)
    assert answer.status == 201, answer.raw
    found: dict[str, Any] = answer.json
    return found


def test_a_namespace_lives(gallery: Gallery) -> None:
    admin = gallery.cloud.admin
    types = gallery.get("/v2/metadefs/resource_types")["resource_types"]
    shown = made(
        gallery, protected=True, resource_type_associations=[{"name": types[0]["name"]}], tags=[{"name": "t"}],
        objects=[{"name": "o", "required": ["p"]}], properties={"p": {"title": "P", "type": "string"}},
    )  # fmt: skip
    assert gallery.get(f"{BASE}/N") == shown and shown["properties"] == {"p": {"title": "P", "type": "string"}}
    assert [entry["name"] for entry in shown["resource_type_associations"]] == [types[0]["name"]]
    assert [entry["namespace"] for entry in gallery.get(BASE)["namespaces"]] == ["N"]
    assert gallery.status("POST", BASE, {"namespace": "N"}, admin) == 409
    assert gallery.status("DELETE", f"{BASE}/N", who=admin) == 403
    changed = gallery.do("PUT", f"{BASE}/N", {"namespace": "M", "visibility": "private", "protected": False}, admin)
    assert changed.status == 200 and changed.json["visibility"] == "private"
    assert gallery.get(f"{BASE}/M", admin)["tags"][0]["name"] == "t"
    assert gallery.status("GET", f"{BASE}/M") == 404 and gallery.get(BASE)["namespaces"] == []
    assert gallery.status("DELETE", f"{BASE}/M", who=admin) == 204
    assert gallery.status("GET", f"{BASE}/M", who=admin) == 404
    assert gallery.cloud.db.one("SELECT count(*) FROM metadef_item") == (0,)


def test_lists_are_filtered_and_paged(gallery: Gallery) -> None:
    for number in range(3):
        made(gallery, namespace=f"n{number}", visibility=["public", "private"][number % 2],
             resource_type_associations=[{"name": f"type{number}"}])  # fmt: skip
    admin = gallery.cloud.admin

    def names(query: str) -> list[str]:
        return [entry["namespace"] for entry in gallery.get(BASE + query, admin)["namespaces"]]

    assert names("") == ["n0", "n1", "n2"] and names("?visibility=private") == ["n1"]
    assert names("?resource_types=type0,type1") == ["n0", "n1"] and names("?resource_types=none") == []
    page = gallery.get(f"{BASE}?limit=2", admin)
    assert names("?limit=2") == ["n0", "n1"]
    assert [entry["namespace"] for entry in gallery.get(page["next"], admin)["namespaces"]] == ["n2"]
    assert gallery.status("GET", f"{BASE}?marker=none", who=admin) == 400


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("objects", {"name": "x", "description": "d", "properties": {"a": {}}}),
        ("properties", {"name": "x", "title": "X", "type": "integer", "minimum": 3}),
        ("resource_types", {"name": "x", "prefix": "p_"}),
    ],
)
def test_an_item_lives(gallery: Gallery, kind: str, body: dict[str, Any]) -> None:
    made(gallery)
    admin, place = gallery.cloud.admin, f"{BASE}/N/{kind}"
    answer = gallery.do("POST", place, body, admin)
    assert answer.status == 201 and answer.json | body == answer.json
    assert gallery.status("POST", place, body, admin) == 409
    assert gallery.get(f"{place}/x") == answer.json
    assert gallery.do("PUT", f"{place}/x", body | {"name": "y"}, admin).json["name"] == "y"
    assert gallery.status("GET", f"{place}/x") == 404
    gallery.do("POST", place, body, admin)
    assert gallery.status("PUT", f"{place}/x", body | {"name": "y"}, admin) == 409
    listed = gallery.get(place)
    assert len(listed["resource_type_associations" if kind == "resource_types" else kind]) == 2
    assert gallery.status("DELETE", f"{place}/x", who=admin) == 204
    assert gallery.status("DELETE", f"{place}/x", who=admin) == 404
    assert gallery.status("DELETE", place, who=admin) == 204
    assert "'y'" not in str(gallery.get(place))


def test_tags_are_written_all_at_once_or_one_by_one(gallery: Gallery) -> None:
    made(gallery)
    admin, place = gallery.cloud.admin, f"{BASE}/N/tags"
    assert gallery.status("POST", place, {"tags": [{"name": "a"}, {"name": "b"}]}, admin) == 201
    answer = gallery.do("POST", place, {"tags": [{"name": "c"}]}, admin)
    assert [tag["name"] for tag in answer.json["tags"]] == ["c"]
    assert gallery.status("POST", f"{place}/d", who=admin) == 201
    assert gallery.status("POST", f"{place}/d", who=admin) == 409
    assert gallery.get(f"{place}/d")["name"] == "d"
    assert gallery.status("POST", f"{BASE}/N/objects/o", who=admin) == 405
    assert [tag["name"] for tag in gallery.get(place)["tags"]] == ["c", "d"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (BASE, {}, 400), (BASE, {"namespace": "a/b"}, 400), (BASE, {"namespace": "x", "visibility": "shared"}, 400),
        (BASE, {"namespace": "x", "protected": "yes"}, 400), (BASE, {"namespace": "x", "description": 5}, 400),
        (BASE, {"namespace": "x", "properties": []}, 400), (BASE, {"namespace": "x", "properties": {"p": 5}}, 400),
        (BASE, {"namespace": "x", "tags": {}}, 400), (BASE, {"namespace": "x", "objects": ["o"]}, 400),
        (BASE + "/N/objects", {"name": ""}, 400), (BASE + "/N/objects", {"name": "o", "other": 1}, 400),
        (BASE + "/N/properties", {"name": "p"}, 400),
        (BASE + "/N/properties", {"name": "p", "title": "t", "type": "x"}, 400),
        (BASE + "/N/others", {"name": "o"}, 404), (BASE + "/none/objects", {"name": "o"}, 404),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused(gallery: Gallery, path: str, body: Any, status: int) -> None:
    made(gallery)
    assert gallery.status("POST", path, body, gallery.cloud.admin) == status
    assert gallery.status("POST", path, body) == 403, "only administrators write"
    assert len(gallery.get(BASE)["namespaces"]) == 1


def test_schemas_are_told(gallery: Gallery) -> None:
    for name in ("namespace", "object", "property", "tag", "resource_type"):
        many = "properties" if name == "property" else f"{name}s"
        for word in (name, many):
            shown = gallery.get(f"/v2/schemas/metadefs/{word}")["name"]
            assert shown == word.replace("resource_type", "resource_type_association")
    assert gallery.status("GET", "/v2/schemas/metadefs/other") == 404
