"""Disks beside the root: as what they are formatted, and where a rescue disk stands."""

from __future__ import annotations

from andromede.compute.neighbours import ImageFacts
from andromede.compute.tables import DEVICES
from tests.support.nova import BIG_IMAGE, BOOT_VOLUME, IMAGE, VOLUME, Nova

BOOT = {"boot_index": 0, "uuid": BOOT_VOLUME, "source_type": "volume", "destination_type": "volume"}


def test_a_volume_may_be_booted_beside_an_image(nova: Nova) -> None:
    made = nova.server(imageRef=IMAGE, block_device_mapping_v2=[BOOT, {**BOOT, "uuid": VOLUME, "boot_index": 1}])
    rows = [row for row in DEVICES.select(nova.db, {"server_id": made["id"]}) if row.kind == "disk"]
    assert [(row.volume_id, row.boot_index) for row in rows] == [(BOOT_VOLUME, 0), (VOLUME, 1)]
    assert (nova.row(made["id"]).root_gb, nova.row(made["id"]).image_id) == (0, "")


def test_formats_of_disks_are_known_ones(nova: Nova) -> None:
    wish = {"name": "roomy", "ram": 192, "vcpus": 1, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 2, "id": "roomy"}
    assert nova.admin("POST", "/flavors", {"flavor": wish}).status == 200
    root = {"source_type": "image", "uuid": IMAGE, "boot_index": 0, "destination_type": "local"}
    for form, status in (("ext3", 202), ("ntfs", 400)):
        blank = {"source_type": "blank", "destination_type": "local", "volume_size": 1, "guest_format": form}
        body = {"name": "x", "flavorRef": "roomy", "imageRef": IMAGE, "block_device_mapping_v2": [root, blank]}
        assert nova.call("POST", "/servers", {"server": body}).status == status, form
    nova.admin("DELETE", "/flavors/roomy")


def test_where_a_rescue_disk_may_stand(nova: Nova) -> None:
    known = nova.images.known[BIG_IMAGE]

    def rescue(**properties: str) -> tuple[int, str]:
        server = nova.active()
        nova.images.known[BIG_IMAGE] = ImageFacts(BIG_IMAGE, "big", "active", properties=properties)
        answer = nova.act(server, "rescue", {"rescue_image_ref": BIG_IMAGE})
        return answer.status, answer.raw.decode()

    try:
        for good in (
            {"hw_rescue_device": "cdrom"}, {"hw_rescue_device": "cdrom", "hw_rescue_bus": "ide"},
            {"hw_rescue_bus": "usb"}, {"hw_rescue_device": "disk", "hw_rescue_bus": "scsi"},
        ):  # fmt: skip
            assert rescue(**good)[0] == 200, good
        for bad in (
            {"hw_rescue_device": "floppy"}, {"hw_rescue_bus": "fdc"},
            {"hw_rescue_device": "cdrom", "hw_rescue_bus": "usb"},
        ):  # fmt: skip
            status, text = rescue(**bad)
            assert status == 400 and "rescue" in text, bad
    finally:
        nova.images.known[BIG_IMAGE] = known
    backed = nova.active(imageRef="", block_device_mapping_v2=[BOOT])
    answer = nova.act(backed, "rescue")
    assert answer.status == 400
    assert "cannot be rescued: Cannot rescue a volume-backed instance" in answer.raw.decode()
    nova.arrive(backed, "paused")
    assert nova.act(backed, "rescue").status == 409
