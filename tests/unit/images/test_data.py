"""The bytes of images: in, out, imported, refused, gone."""

import hashlib
import io
from typing import Any

import pytest

from andromede.errors import Conflict, NotFound, Unavailable
from andromede.images.model import IMAGES, NewImage
from andromede.images.service import STALE_SECONDS, Limits
from tests.support.vault import Bytes
from tests.unit.images.gallery import OCTETS, Gallery

QCOW2 = b"QFI\xfb\0\0\0\3" + bytes(16) + (5 << 20).to_bytes(8, "big") + bytes(3000)
DATA = bytes(range(256)) * 1000


def test_what_was_uploaded_comes_back_whole_with_its_hashes(gallery: Gallery) -> None:
    image = gallery.filled(DATA)
    assert image["status"] == "active" and image["size"] == image["virtual_size"] == len(DATA)
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    assert image["os_hash_algo"] == "sha512" and image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    answer = gallery.send("GET", image["file"])
    assert answer.status == 200 and answer.raw == DATA
    assert answer.headers["content-type"] == OCTETS and answer.headers["content-md5"] == image["checksum"]
    assert gallery.fill(image, b"again").status == 409


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-999999999", 5, None)],
)
def test_a_part_comes_as_such(gallery: Gallery, header: str, start: int, stop: int | None) -> None:
    image = gallery.filled(DATA)
    answer = gallery.send("GET", image["file"], headers={"range": header})
    assert answer.status == 206 and answer.raw == DATA[start:stop]
    first = start % len(DATA)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.raw) - 1}/{len(DATA)}"


def test_a_part_outside_is_refused_and_nonsense_ignored(gallery: Gallery) -> None:
    image = gallery.filled(DATA)
    answer = gallery.send("GET", image["file"], headers={"range": f"bytes={len(DATA)}-"})
    assert answer.status == 416 and answer.headers["content-range"] == f"bytes */{len(DATA)}"
    for nonsense in ("bytes=-", "bytes=1-2,4-5", "lines=1-2"):
        assert gallery.send("GET", image["file"], headers={"range": nonsense}).status == 200


def test_an_upload_that_breaks_a_rule_leaves_the_image_queued(gallery: Gallery) -> None:
    image = gallery.make()
    file = image["file"]
    assert gallery.send("PUT", file, b"x", headers={"content-type": "text/plain"}).status == 415
    assert gallery.fill(image, b"").status == 400
    assert gallery.send("PUT", file, b"x", headers={"content-type": OCTETS, "content-length": "5"}).status == 400
    assert gallery.send("PUT", file, b"x", headers={"content-type": OCTETS, "content-length": "x"}).status == 400
    assert gallery.show(image)["status"] == "queued"
    bare = gallery.make(disk_format=None)
    assert gallery.fill(bare, b"x").status == 400
    assert gallery.fill(image, b"x").status == 204


def test_limits_of_an_image_and_of_a_project_hold(gallery: Gallery) -> None:
    gallery.images.limits = Limits(image=1000, project=1500)
    assert gallery.fill(gallery.make(), b"x" * 1001).status == 413
    gallery.filled(b"x" * 900)
    assert gallery.fill(gallery.make(), b"x" * 700).status == 413
    image = gallery.make()
    assert (
        gallery.send("PUT", image["file"], b"x", headers={"content-type": OCTETS, "content-length": "700"}).status
        == 413
    )
    assert gallery.fill(image, b"x" * 600).status == 204
    assert gallery.fill(gallery.make(), b"x").status == 413


class Gone:
    """A client that leaves in the middle of its body."""

    def readinto(self, view: memoryview, /) -> int:
        raise Unavailable("the client has gone before its body was whole", "client")


def test_a_client_that_leaves_leaves_nothing(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    image = gallery.make()
    monkeypatch.setattr(io, "BytesIO", lambda body: Gone())
    assert gallery.fill(image, b"data").status == 503
    monkeypatch.undo()
    assert gallery.show(image)["status"] == "queued"
    assert gallery.cloud.db.one("SELECT count(*) FROM version") == (0,)
    assert gallery.fill(image, b"data").status == 204


def test_an_upload_whose_process_died_is_queued_again(gallery: Gallery) -> None:
    image = gallery.make()
    with gallery.cloud.db.write() as tx:
        IMAGES.update(tx, {"id": image["id"]}, state="saving", since_us=gallery.clock.now_us())
    gallery.images.sweep()
    assert gallery.show(image)["status"] == "saving"
    gallery.clock.advance(STALE_SECONDS + 1)
    gallery.images.sweep()
    assert gallery.images.get(image["id"]).status == "queued"


# --- looked into


def test_a_structured_image_is_looked_into_before_it_is_used(gallery: Gallery) -> None:
    gallery.inspector.size = 5 << 20
    image = gallery.make(disk_format="qcow2")
    assert gallery.fill(image, QCOW2).status == 204
    assert gallery.show(image)["status"] == "saving" and gallery.names("?status=saving") == ["one"]
    assert gallery.status("GET", image["file"]) == 204, "nothing is given out before"
    gallery.runner.settle()
    shown = gallery.show(image)
    assert shown["status"] == "active" and shown["virtual_size"] == 5 << 20
    assert gallery.inspector.looked == [("qcow2", len(QCOW2))]


@pytest.mark.parametrize(
    ("disk_format", "data", "reason"),
    [
        ("qcow2", b"no such thing", "no image that is known, not qcow2"),
        ("raw", QCOW2, "the data is a qcow2 image, not raw as declared"),
        ("vmdk", QCOW2, "the data is a qcow2 image, not vmdk as declared"),
        ("qcow2", QCOW2[:8] + (72).to_bytes(8, "big") + QCOW2[16:], "it has a backing file"),
        ("qcow2", QCOW2[:79] + b"\4" + QCOW2[80:], "its data lies in another file"),
        ("qcow2", QCOW2[:24] + (1 << 60).to_bytes(8, "big") + QCOW2[32:], "its virtual size is"),
        ("qcow2", QCOW2[:32] + (1).to_bytes(4, "big") + QCOW2[36:], "it is encrypted"),
        ("qcow2", QCOW2[:80], "the qcow2 header is cut off"),
    ],
)
def test_a_hostile_image_is_killed_with_the_reason(
    gallery: Gallery, disk_format: str, data: bytes, reason: str
) -> None:
    image = gallery.filled(data, disk_format=disk_format)
    assert image["status"] == "killed" and reason in image["os_glance_fault"] and image["size"] == len(data)
    assert gallery.inspector.looked == [], "no program touches it"
    assert gallery.status("GET", image["file"]) == 204
    with pytest.raises(Conflict, match="is killed, not active"):
        gallery.bases.local(image["id"])
    assert gallery.status("DELETE", image["self"]) == 204


def test_what_the_inspector_refuses_is_killed(gallery: Gallery) -> None:
    gallery.inspector.fault = "the image has a backing file"
    image = gallery.filled(QCOW2, disk_format="qcow2")
    assert (image["status"], image["os_glance_fault"]) == ("killed", "the image has a backing file")


@pytest.mark.parametrize("fault", ["", "the image has a backing file"])
def test_what_a_client_says_of_an_image_while_it_is_looked_into_stays(
    gallery: Gallery, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, inspect = gallery.make(disk_format="qcow2"), gallery.inspector.inspect

    def meanwhile(pieces: Any, kind: str) -> Any:
        assert gallery.patch(image, {"op": "add", "path": "/color", "value": "blue"}).status == 200
        return inspect(pieces, kind)

    monkeypatch.setattr(gallery.inspector, "inspect", meanwhile)
    gallery.inspector.fault = fault
    gallery.fill(image, QCOW2)
    gallery.runner.settle()
    shown = gallery.show(image)
    assert shown["color"] == "blue" and shown.get("os_glance_fault", "") == fault
    assert gallery.names("?color=blue") == ["one"]


# --- imported


def tasks(gallery: Gallery, image: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gallery.get(f"{image['self']}/tasks")["tasks"]
    return found


def test_what_is_staged_is_imported(gallery: Gallery) -> None:
    image = gallery.make()
    assert gallery.status("POST", f"{image['self']}/import", {"method": {"name": "glance-direct"}}) == 409
    assert gallery.fill(image, DATA, where="stage").status == 204
    assert gallery.show(image)["status"] == "uploading" and gallery.names("?status=uploading") == ["one"]
    assert gallery.status("GET", image["file"]) == 204 and gallery.fill(image, b"other").status == 409
    answer = gallery.do("POST", f"{image['self']}/import", {"method": {"name": "glance-direct"}, "all_stores": True})
    assert answer.status == 202 and answer.raw == b""
    assert gallery.show(image)["status"] == "importing" and tasks(gallery, image)[0]["status"] == "pending"
    gallery.runner.settle()
    assert gallery.show(image)["status"] == "active" and gallery.send("GET", image["file"]).raw == DATA
    (task,) = tasks(gallery, image)
    assert task["status"] == "success" and task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "glance-direct"
    assert set(task) <= set(gallery.get("/v2/schemas/task")["properties"])


def test_what_lies_at_a_url_is_imported(gallery: Gallery) -> None:
    gallery.downloader.pages["https://images.test/one"] = DATA
    image = gallery.make()
    body = {"method": {"name": "web-download", "uri": "https://images.test/one"}, "stores": ["andromede"]}
    assert gallery.status("POST", f"{image['self']}/import", body) == 202
    assert gallery.status("POST", f"{image['self']}/import", body) == 409
    gallery.runner.settle()
    assert gallery.show(image)["status"] == "active" and gallery.send("GET", image["file"]).raw == DATA
    assert gallery.names("?os_glance_failed_import=andromede") == []


def test_an_import_of_nothing_leaves_the_image_queued_and_says_why(gallery: Gallery) -> None:
    image = gallery.make()
    body = {"method": {"name": "web-download", "uri": "https://nobody.test/"}}
    assert gallery.status("POST", f"{image['self']}/import", body) == 202
    gallery.runner.settle()
    shown = gallery.show(image)
    assert shown["status"] == "queued" and shown["os_glance_failed_import"] == "andromede"
    assert "nobody answers" in shown["os_glance_fault"] and tasks(gallery, image)[0]["status"] == "failure"
    assert gallery.fill(image, b"by hand").status == 204
    gallery.images.limits = Limits(image=10, project=10)
    gallery.downloader.pages["https://big.test/"] = DATA
    other = gallery.make()
    body["method"]["uri"] = "https://big.test/"
    gallery.do("POST", f"{other['self']}/import", body)
    gallery.runner.settle()
    assert gallery.show(other)["status"] == "queued" and "limit" in gallery.show(other)["os_glance_fault"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"method": "web-download"}, {"method": {"name": "copy-image"}}, {"method": {"name": "web-download"}},
        {"method": {"name": "web-download", "uri": "file:///etc/passwd"}},
        {"method": {"name": "web-download", "uri": "http://"}},
        {"method": {"name": "web-download", "uri": "http://x/" + "y" * 2048}},
        {"method": {"name": "web-download", "uri": "http://x/"}, "stores": ["other"]},
        {"method": {"name": "web-download", "uri": "http://x/"}, "stores": ["andromede"], "all_stores": True},
    ],
)  # fmt: skip
def test_an_import_that_breaks_a_rule_is_refused(gallery: Gallery, body: Any) -> None:
    image = gallery.make()
    assert gallery.status("POST", f"{image['self']}/import", body) == 400
    assert gallery.show(image)["status"] == "queued"


def test_an_import_needs_formats(gallery: Gallery) -> None:
    image = gallery.make(container_format=None)
    body = {"method": {"name": "web-download", "uri": "http://x/"}}
    assert gallery.status("POST", f"{image['self']}/import", body) == 400


def test_administrators_see_all_tasks(gallery: Gallery) -> None:
    for name in ("a", "b"):
        gallery.clock.advance(1)
        image = gallery.make(name=name)
        body = {"method": {"name": "web-download", "uri": f"https://{name}.test/"}}
        gallery.do("POST", f"{image['self']}/import", body)
    admin = gallery.cloud.admin
    page = gallery.get("/v2/tasks?limit=1", admin)
    assert len(page["tasks"]) == 1
    rest = gallery.get(page["next"], admin)
    assert len(rest["tasks"]) == 1 and "next" not in rest and rest["tasks"] != page["tasks"]
    assert gallery.get(f"/v2/tasks/{rest['tasks'][0]['id']}", admin) == rest["tasks"][0]
    assert gallery.get("/v2/tasks?status=success", admin)["tasks"] == []
    assert gallery.get("/v2/tasks?type=other", admin)["tasks"] == []
    assert gallery.status("GET", "/v2/tasks?marker=x", who=admin) == 400
    assert gallery.status("GET", "/v2/tasks/x", who=admin) == 404
    assert gallery.status("POST", "/v2/tasks", {"type": "import"}, admin) == 400
    assert gallery.status("GET", "/v2/tasks") == 403


# --- gone


def test_the_bytes_of_a_deleted_image_go(gallery: Gallery) -> None:
    image, staged = gallery.filled(DATA), gallery.make()
    gallery.fill(staged, DATA, where="stage")
    assert gallery.cloud.db.one("SELECT count(*) FROM version") == (2,)
    for row in (image, staged):
        assert gallery.status("DELETE", row["self"]) == 204
        assert gallery.status("GET", row["self"]) == 404
    assert gallery.names() == []
    gallery.runner.settle()
    assert gallery.cloud.db.one("SELECT count(*) FROM version") == (0,)
    assert gallery.cloud.db.one("SELECT count(*) FROM image") == (0,)
    assert gallery.cloud.db.one("SELECT count(*) FROM image_word") == (0,)


def test_an_image_that_is_being_imported_can_be_deleted(gallery: Gallery) -> None:
    image = gallery.make()
    gallery.do("POST", f"{image['self']}/import", {"method": {"name": "web-download", "uri": "http://x/"}})
    assert gallery.status("DELETE", image["self"]) == 204
    gallery.runner.settle()
    assert gallery.cloud.db.one("SELECT count(*) FROM image") == (0,)


def test_data_does_not_leave_its_only_store(gallery: Gallery) -> None:
    image = gallery.filled()
    assert gallery.status("DELETE", f"/v2/stores/andromede/{image['id']}") == 403
    assert gallery.status("DELETE", f"/v2/stores/other/{image['id']}") == 404


# --- for other services


def test_another_service_makes_and_fills_an_image(gallery: Gallery) -> None:
    images, project = gallery.images, gallery.cloud.project_id
    new = NewImage(name="snap", disk_format="qcow2", container_format="bare", properties={"base": "x"})
    image = images.create_from(project, "user", new, "req-9")
    assert (image.status, image.owner, image.is_open) == ("queued", project, False)
    with pytest.raises(NotFound, match="has no data"):
        images.open(image.id)
    filled = images.upload(image.id, Bytes(QCOW2), len(QCOW2), "req-9")
    assert filled.status == "active" and filled.virtual_size == 5 << 20
    assert images.upload(image.id, Bytes(b"again"), 5, "req-9") == filled, "a repeated upload changes nothing"
    reader = images.open(image.id)
    assert reader.size == len(QCOW2) and reader.read(3) == QCOW2[:3] and reader.read() == QCOW2[3:]
    assert images.find(image.id, project).id == image.id
    with pytest.raises(NotFound):
        images.find(image.id, gallery.cloud.other_project)
    images.hide(image.id, "req-9")
    assert gallery.names() == [] and gallery.names("?os_hidden=true") == ["snap"]
    images.remove(image.id, "req-9")
    images.remove(image.id, "req-9")
    gallery.runner.settle()
    assert not images.is_there(image.id)


def test_images_of_a_project_are_found_by_their_properties(gallery: Gallery) -> None:
    project, ids = gallery.cloud.project_id, []
    for owner, kind in (
        (project, "daily"),
        (project, "daily"),
        (project, "weekly"),
        (gallery.cloud.other_project, "daily"),
    ):
        gallery.cloud.clock.advance(1)
        told = {"image_type": "backup", "backup_type": kind}
        ids.append(gallery.images.create_from(owner, "user", NewImage(name="b", properties=told), "req-9").id)
    found = gallery.images.with_properties(project, {"image_type": "backup", "backup_type": "daily"})
    assert [image.id for image in found] == [ids[1], ids[0]]


def test_an_image_that_could_not_be_filled_says_why(gallery: Gallery) -> None:
    new = NewImage(name="snap", disk_format="qcow2", container_format="bare")
    image = gallery.images.create_from(gallery.cloud.project_id, "user", new, "req-9", keep=lambda tx: None)
    gallery.images.fail(image.id, "the disk is gone", "req-9")
    shown = gallery.get(f"/v2/images/{image.id}")
    assert (shown["status"], shown["os_glance_fault"]) == ("killed", "the disk is gone")
    gallery.images.fail("no such image", "x", "req-9")
