"""The actions of servers: from which states they begin, what they claim, and who may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede.compute.neighbours import ImageFacts
from andromede.compute.tables import ALLOCATIONS, DEVICES
from tests.support.nova import (
    BIG_IMAGE,
    BOOT_VOLUME,
    GROUP,
    IMAGE,
    NETWORK,
    NOTHING,
    SNAPSHOT,
    VOLUME,
    WEB_GROUP,
    Nova,
)

PLAIN = [
    ("os-start", "stopped", "starting"), ("os-stop", "active", "stopping"), ("pause", "active", "pausing"),
    ("unpause", "paused", "unpausing"), ("suspend", "active", "suspending"), ("resume", "suspended", "resuming"),
    ("unrescue", "rescued", "unrescuing"), ("shelve", "active", "shelving"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "target"), PLAIN)
def test_plain_actions(nova: Nova, name: str, source: str, target: str) -> None:
    server = nova.arrive(nova.active(), source)
    answer = nova.act(server, name)
    assert (answer.status, answer.raw) == (202, b"")
    row = nova.row(server)
    assert (row.state, row.before, row.request_id) == (target, source, answer.headers["x-compute-request-id"])
    assert row.due_us is not None
    again = nova.act(server, name)
    assert again.status == 409
    assert "while it is in" in again.json["conflictingRequest"]["message"]
    action = nova.call("GET", f"/servers/{server}/os-instance-actions/{row.request_id}").json["instanceAction"]
    assert action["action"] == {"os-start": "start", "os-stop": "stop"}.get(name, name)


def test_words_of_conflicts(nova: Nova) -> None:
    server = nova.active()
    answer = nova.act(server, "os-start")
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'start' instance {server} while it is in vm_state active"
    )
    nova.act(server, "os-stop")
    answer = nova.act(server, "pause")
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'pause' instance {server} while it is in task_state powering-off"
    )


def test_reboots(nova: Nova) -> None:
    server = nova.active()
    for bad in ({"type": "x"}, {}, {"type": None}, None, {"type": "SOFT", "y": 1}):
        assert nova.act(server, "reboot", bad).status == 400
    assert nova.act(server, "reboot", {"type": "soft"}).status == 202
    assert nova.row(server).state == "rebooting"
    nova.arrive(server, "stopped")
    assert nova.act(server, "reboot", {"type": "SOFT"}).status == 409
    assert nova.act(server, "reboot", {"type": "HARD"}).status == 202
    assert nova.row(server).state == "hard_rebooting"
    assert nova.act(NOTHING, "reboot", {"type": "SOFT"}).status == 404


def held(nova: Nova, server: str) -> dict[str, int]:
    return {row.resource_class: row.used for row in ALLOCATIONS.select(nova.db, {"consumer_id": server})}


def test_resize_claims_both_until_it_is_confirmed(nova: Nova) -> None:
    server = nova.active()
    for bad, status in (
        ({"flavorRef": "tiny"}, 400), ({"flavorRef": NOTHING}, 400), ({"flavorRef": None}, 400), ({}, 400),
        ({"flavorRef": "SCS-4V-32"}, 400),
    ):  # fmt: skip
        assert nova.act(server, "resize", bad).status == status, bad
    nova.admin("PUT", f"/os-quota-sets/{nova.project_id}", {"quota_set": {"ram": 200}})
    assert nova.act(server, "resize", {"flavorRef": "tiny2"}).status == 403
    nova.admin("DELETE", f"/os-quota-sets/{nova.project_id}")
    assert nova.act(server, "resize", {"flavorRef": "tiny2", "OS-DCF:diskConfig": "AUTO"}).status == 202
    assert nova.row(server).disk_config == "AUTO"
    assert held(nova, server) == {"VCPU": 2, "MEMORY_MB": 448, "DISK_GB": 2}
    row = nova.row(server)
    assert (row.state, row.wish["flavor"]["id"], row.vcpus, row.ram_mb) == ("resizing", "tiny2", 1, 256)
    assert nova.call("GET", f"/servers/{server}").json["server"]["status"] == "RESIZE"
    nova.arrive(server, "verify_resize", before="active")
    assert nova.call("GET", f"/servers/{server}").json["server"]["status"] == "VERIFY_RESIZE"
    answer = nova.act(server, "confirmResize")
    assert (answer.status, answer.raw) == (204, b"")
    assert nova.row(server).before == "active"
    nova.arrive(server, "verify_resize", before="stopped")
    assert nova.act(server, "revertResize").status == 202
    assert (nova.row(server).state, nova.row(server).before) == ("reverting", "stopped")


def test_a_disk_never_shrinks(nova: Nova) -> None:
    server = nova.active(flavorRef="SCS-2V-4-20s")
    assert nova.act(server, "resize", {"flavorRef": "SCS-2V-4"}).status == 400
    assert nova.act(server, "resize", {"flavorRef": "tiny2"}).status == 400


def test_rebuild(nova: Nova) -> None:
    server = nova.active()
    wanted = {"imageRef": IMAGE, "name": "again", "metadata": {"a": "b"}, "accessIPv4": "1.1.1.1", "adminPass": "s3"}
    answer = nova.act(server, "rebuild", wanted)
    assert answer.status == 202
    shown = answer.json["server"]
    assert (shown["adminPass"], shown["name"], shown["metadata"], shown["status"]) == (
        "s3", "again", {"a": "b"}, "REBUILD",
    )  # fmt: skip
    assert "key_name" not in shown
    row = nova.row(server)
    assert (row.state, row.before, row.image_id) == ("rebuilding", "active", IMAGE)
    nova.arrive(server)
    given = [{"path": "/etc/x", "contents": "YQ=="}]
    assert nova.act(server, "rebuild", {"imageRef": IMAGE, "personality": given}).status == 202
    assert nova.row(server).personality == given
    nova.arrive(server)
    assert nova.act(server, "rebuild", {"imageRef": IMAGE, "personality": given * 6}).status == 403
    assert nova.act(server, "rebuild", {"imageRef": IMAGE, "personality": given}, "2.57").status == 400
    key = {"keypair": {"name": "k"}}
    assert nova.call("POST", "/os-keypairs", key).status == 200
    answer = nova.act(server, "rebuild", {"imageRef": IMAGE, "key_name": "k", "user_data": "YQ=="}, "2.57")
    assert (answer.json["server"]["key_name"], answer.json["server"]["user_data"]) == ("k", "YQ==")
    assert nova.row(server).public_key.startswith("ssh-rsa ")
    nova.arrive(server)
    assert nova.act(server, "rebuild", {"imageRef": IMAGE, "key_name": None}, "2.57").json["server"]["key_name"] is None
    nova.call("DELETE", "/os-keypairs/k")
    nova.arrive(server, "error")
    for bad in (
        {"imageRef": NOTHING}, {}, {"imageRef": IMAGE, "name": ""}, {"imageRef": IMAGE, "user_data": "YQ=="},
        {"imageRef": IMAGE, "metadata": 7},
    ):  # fmt: skip
        assert nova.act(server, "rebuild", bad).status == 400, bad
    assert nova.act(server, "rebuild", {"imageRef": IMAGE, "key_name": "none"}, "2.57").status == 400
    assert nova.act(server, "rebuild", {"imageRef": BIG_IMAGE}).status == 202
    assert nova.row(server).root_gb == 30
    nova.arrive(server, "paused")
    assert nova.act(server, "rebuild", {"imageRef": IMAGE}).status == 409
    flavored = nova.active(flavorRef="tiny2")
    assert nova.act(flavored, "rebuild", {"imageRef": BIG_IMAGE}).status == 400


def test_rescue(nova: Nova) -> None:
    server = nova.active()
    answer = nova.act(server, "rescue", {"adminPass": "abc"})
    assert (answer.status, answer.json) == (200, {"adminPass": "abc"})
    row = nova.row(server)
    assert (row.state, row.wish["image_id"], row.admin_pass) == ("rescuing", IMAGE, "abc")
    nova.arrive(server, "stopped")
    assert len(nova.act(server, "rescue", {"rescue_image_ref": BIG_IMAGE}).json["adminPass"]) == 12
    assert nova.row(server).wish["image_id"] == BIG_IMAGE
    nova.arrive(server)
    assert nova.act(server, "rescue", {"rescue_image_ref": NOTHING}).status == 400
    assert nova.act(server, "rescue", {"rescue_image_ref": "x"}).status == 400
    nova.arrive(server, "paused")
    assert nova.act(server, "rescue").status == 409


def test_shelving(nova: Nova) -> None:
    server = nova.active()
    nova.arrive(server, "shelved", wish={"image_id": IMAGE})
    assert nova.act(server, "shelveOffload").status == 403
    assert nova.act(server, "shelveOffload", token=nova.hosted.admin).status == 202
    assert nova.row(server).wish == {"image_id": IMAGE}
    nova.arrive(server, "shelved_offloaded", wish={"image_id": IMAGE})
    with nova.db.write() as tx:
        ALLOCATIONS.remove(tx, consumer_id=server)
    assert nova.act(server, "unshelve").status == 202
    assert held(nova, server)["MEMORY_MB"] == 192
    assert nova.row(server).wish == {"image_id": IMAGE}


def test_images_of_servers(nova: Nova) -> None:
    server = nova.active()
    answer = nova.act(server, "createImage", {"name": "snap", "metadata": {"a": "b"}})
    image = nova.images.named(len(nova.images.made))
    assert (answer.status, answer.raw) == (202, b"")
    assert answer.headers["location"] == f"http://cloud.test/compute/images/{image}"
    made = nova.images.made[-1]
    assert (made["name"], made["a"], made["image_type"], made["instance_uuid"]) == ("snap", "b", "snapshot", server)
    row = nova.row(server)
    assert (row.state, row.before, row.wish["image_id"]) == ("snapshotting", "active", image)
    assert nova.call("GET", f"/servers/{server}").json["server"]["OS-EXT-STS:task_state"] == "image_snapshot_pending"
    nova.arrive(server)
    answer = nova.act(server, "createImage", {"name": "snap"}, "2.45")
    assert answer.json == {"image_id": nova.images.named(len(nova.images.made))}
    nova.arrive(server)
    backup = {"name": "b", "backup_type": "daily", "rotation": 2}
    assert nova.act(server, "createBackup", backup, "2.45").status == 202
    assert nova.row(server).wish["rotation"] == 2
    nova.arrive(server)
    assert nova.act(server, "createBackup", backup).headers["location"].startswith("http://cloud.test/compute/images/")
    nova.arrive(server)
    for name, bad in (
        ("createImage", {}), ("createImage", {"name": ""}), ("createImage", {"name": "x" * 256}),
        ("createBackup", {"name": "b", "backup_type": "daily"}), ("createBackup", {**backup, "rotation": -1}),
    ):  # fmt: skip
        assert nova.act(server, name, bad).status == 400, bad
    many = {"name": "x", "metadata": {f"k{n}": "v" for n in range(129)}}
    assert nova.act(server, "createImage", many).status == 403
    nova.arrive(server, "rescued")
    assert nova.act(server, "createImage", {"name": "x"}).status == 409


def test_the_image_of_a_server_on_volumes_names_snapshots(nova: Nova) -> None:
    root = {"uuid": BOOT_VOLUME, "source_type": "volume", "destination_type": "volume", "boot_index": 0}
    data = {"uuid": VOLUME, "source_type": "volume", "destination_type": "volume", "delete_on_termination": True}
    server = nova.active(imageRef="", block_device_mapping_v2=[root, data])
    assert nova.act(server, "createImage", {"name": "snap"}, "2.45").status == 202
    assert nova.row(server).state == "active", "no worker has to do anything"
    assert nova.blocks.taken == [(BOOT_VOLUME, "snapshot for snap"), (VOLUME, "snapshot for snap")]
    made = nova.images.made[-1]
    assert (made["name"], made["bdm_v2"], made["root_device_name"]) == ("snap", "True", "/dev/vda")
    rows = json.loads(made["block_device_mapping"])
    assert [(row["source_type"], row["snapshot_id"], row["boot_index"], row["volume_size"]) for row in rows] == [
        ("snapshot", SNAPSHOT, 0, 3), ("snapshot", SNAPSHOT, None, 1),
    ]  # fmt: skip
    assert [row["delete_on_termination"] for row in rows] == [False, True]
    history = nova.call("GET", f"/servers/{server}/os-instance-actions").json["instanceActions"]
    assert "createImage" in [row["action"] for row in history]
    image = ImageFacts(NOTHING, "snap", "active", properties={"block_device_mapping": made["block_device_mapping"]})
    nova.images.known[NOTHING] = image
    again = nova.server(imageRef=NOTHING)
    devices = DEVICES.select(nova.db, {"server_id": str(again["id"]), "kind": "disk"})
    assert [(row.source, row.source_id, row.target) for row in devices] == [("snapshot", SNAPSHOT, "volume")] * 2
    local = {"uuid": NOTHING, "source_type": "image", "destination_type": "local", "boot_index": 0}
    other = nova.active()
    for answer in (
        nova.call("POST", "/servers", {"server": {
            "name": "x", "flavorRef": "tiny", "imageRef": NOTHING, "block_device_mapping_v2": [local]}}),
        nova.act(other, "rebuild", {"imageRef": NOTHING}), nova.act(other, "rescue", {"rescue_image_ref": NOTHING}),
    ):  # fmt: skip
        assert answer.status == 400 and b"no bytes of its own" in answer.raw


def test_locks(nova: Nova) -> None:
    server = nova.active()
    assert nova.act(server, "lock").status == 202
    assert nova.call("GET", f"/servers/{server}", None, "2.9").json["server"]["locked"] is True
    for call in (
        nova.act(server, "os-stop"), nova.call("DELETE", f"/servers/{server}"),
        nova.call("POST", f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": NOTHING}}),
        nova.call("POST", f"/servers/{server}/metadata", {"metadata": {}}),
        nova.call("PUT", f"/servers/{server}/metadata", {"metadata": {}}),
        nova.call("PUT", f"/servers/{server}/metadata/a", {"meta": {"a": "b"}}),
        nova.call("DELETE", f"/servers/{server}/metadata/a"),
    ):  # fmt: skip
        assert call.status == 409
        assert call.json["conflictingRequest"]["message"] == f"Instance {server} is locked"
    assert nova.act(server, "unlock").status == 202
    assert nova.act(server, "lock", token=nova.hosted.admin).status == 202
    assert nova.act(server, "unlock").status == 403
    assert nova.act(server, "os-stop", token=nova.hosted.admin).status == 202
    assert nova.act(server, "unlock", token=nova.hosted.admin).status == 202


def test_what_one_host_cannot_do_is_said(nova: Nova) -> None:
    server, admin = nova.active(), nova.hosted.admin
    assert nova.act(server, "migrate").status == 403
    assert nova.act(server, "migrate", token=admin).status == 400
    assert nova.act(server, "os-migrateLive", {"host": None}, token=admin).status == 400
    assert nova.act(server, "evacuate", {}, token=admin).status == 400
    assert nova.act(server, "resetNetwork", token=admin).status == 501
    assert nova.act(server, "injectNetworkInfo", token=admin).status == 202
    assert nova.act(server, "changePassword", {"adminPass": "x"}).status == 409
    assert nova.act(server, "restore").status == 409
    assert nova.act(server, "trigger_crash_dump").status == 404
    assert nova.act(server, "trigger_crash_dump", version="2.17").status == 202
    assert (nova.row(server).state, nova.row(server).before) == ("crashing", "active")
    nova.arrive(server, "stopped")
    assert nova.act(server, "trigger_crash_dump", version="2.17").status == 409
    nova.arrive(server, "shelved")
    assert nova.act(server, "migrate", token=admin).status == 409


def test_states_are_reset_by_admins(nova: Nova) -> None:
    server, admin = nova.active(), nova.hosted.admin
    assert nova.act(server, "os-resetState", {"state": "error"}).status == 403
    assert nova.act(server, "os-resetState", {"state": "error"}, token=admin).status == 202
    assert nova.call("GET", f"/servers/{server}").json["server"]["status"] == "ERROR"
    assert nova.act(server, "os-resetState", {"state": "active"}, token=admin).status == 202
    assert nova.row(server).state == "active"
    for bad in ({}, {"state": "x"}):
        assert nova.act(server, "os-resetState", bad, token=admin).status == 400


def test_there_must_be_one_known_action(nova: Nova) -> None:
    server = nova.active()
    for body in ({}, {"nothing": None}, {"os-start": None, "os-stop": None}):
        assert nova.call("POST", f"/servers/{server}/action", body).status == 400
    assert nova.act(server, "os-getVNCConsole", {"type": "novnc"}, "2.6").status == 404
    assert nova.act(server, "os-stop", token=nova.hosted.reader).status == 403
    assert nova.act(server, "forceDelete").status == 202
    assert nova.row(server).signals == "delete"


def test_consoles(nova: Nova) -> None:
    server = nova.active()
    assert nova.act(server, "os-getConsoleOutput", {}).json == {"output": "booting\nlogin:"}
    assert nova.act(server, "os-getConsoleOutput", {"length": 1}).json == {"output": "login:"}
    assert nova.act(server, "os-getConsoleOutput", {"length": "1"}).json == {"output": "login:"}
    assert nova.act(server, "os-getConsoleOutput", {"length": None}).json == {"output": "booting\nlogin:"}
    assert nova.act(server, "os-getConsoleOutput", {"length": "x"}).status == 400
    shown = nova.act(server, "os-getVNCConsole", {"type": "novnc"}).json["console"]
    assert shown["type"] == "novnc"
    assert shown["url"].startswith("http://cloud.test/console/vnc")
    token = shown["url"].partition("token=")[2]
    place = nova.admin("GET", f"/os-console-auth-tokens/{token}", None, "2.31").json["console"]
    assert place["instance_uuid"] == server
    assert nova.admin("GET", f"/os-console-auth-tokens/{token}").status == 400
    consoles = nova.compute.consoles
    assert consoles.redeem(token, "req-x").server_id == server
    assert nova.admin("GET", f"/os-console-auth-tokens/{token}", None, "2.31").status == 404
    body: dict[str, Any] = {"remote_console": {"protocol": "serial", "type": "serial"}}
    answer = nova.call("POST", f"/servers/{server}/remote-consoles", body, "2.6")
    assert set(answer.json["remote_console"]) == {"protocol", "type", "url"}
    for protocol, kind, status in (("vnc", "serial", 400), ("spice", "spice-html5", 400), ("x", "y", 400)):
        body = {"remote_console": {"protocol": protocol, "type": kind}}
        assert nova.call("POST", f"/servers/{server}/remote-consoles", body, "2.8").status == status
    assert nova.act(server, "os-getSPICEConsole", {"type": "spice-html5"}).status == 400
    nova.clock.advance(601)
    nova.alive()
    assert consoles.sweep() >= 1
    nova.arrive(server, "scheduling")
    assert nova.act(server, "os-getVNCConsole", {"type": "novnc"}).status == 409
    assert nova.act(server, "os-getConsoleOutput", {}).status == 409
    nova.arrive(server, "shelved_offloaded")
    assert nova.act(server, "os-getConsoleOutput", {}).status == 409


def test_security_groups_and_addresses(nova: Nova) -> None:
    server = nova.active()
    port = nova.wires.create_port(nova.project_id, server, NETWORK, "10.0.0.9", "r")
    assert nova.act(server, "addSecurityGroup", {"name": "web"}).status == 202
    assert nova.wires.joined[server] == {WEB_GROUP}
    assert nova.call("GET", f"/servers/{server}").json["server"]["security_groups"] == [{"name": "web"}]
    (group,) = nova.call("GET", f"/servers/{server}/os-security-groups").json["security_groups"]
    assert (group["name"], [rule["id"] for rule in group["rules"]]) == ("web", ["r1", "r3", "r4"])
    assert group["rules"][0]["ip_range"] == {"cidr": "0.0.0.0/0"}
    assert (group["rules"][1]["from_port"], group["rules"][1]["to_port"]) == (-1, -1)
    assert group["rules"][2]["group"]["name"] in ("default", GROUP)
    assert nova.act(server, "removeSecurityGroup", {"name": "web"}).status == 202
    assert nova.act(server, "removeSecurityGroup", {"name": "web"}).status == 404
    assert nova.act(server, "addSecurityGroup", {"name": "nothing"}).status == 404
    assert nova.act(server, "addSecurityGroup", {"name": " "}).status == 400
    assert nova.act(server, "addFixedIp", {"networkId": NETWORK}).status == 202
    assert nova.act(server, "addFixedIp", {"networkId": NOTHING}).status == 400
    assert nova.act(server, "removeFixedIp", {"address": "10.0.0.200"}).status == 202
    assert nova.act(server, "removeFixedIp", {"address": "10.0.0.200"}).status == 400
    nova.wires.floating["172.24.4.9"] = ""
    assert nova.act(server, "addFloatingIp", {"address": "172.24.4.9"}).status == 202
    assert nova.wires.floating["172.24.4.9"] == port.id
    assert nova.call("GET", f"/servers/{server}/ips").json == {
        "addresses": {"private": [{"version": 4, "addr": "10.0.0.9"}, {"version": 4, "addr": "172.24.4.9"}]}
    }
    assert nova.call("GET", f"/servers/{server}/ips/private").json["private"][0]["addr"] == "10.0.0.9"
    assert nova.call("GET", f"/servers/{server}/ips/nothing").status == 404
    assert nova.act(server, "removeFloatingIp", {"address": "172.24.4.9"}).status == 202
    assert nova.act(server, "removeFloatingIp", {"address": "172.24.4.9"}).status == 404
    assert nova.act(server, "addFloatingIp", {"address": "172.24.4.8"}).status == 404
    assert nova.act(server, "addFloatingIp", {"address": "172.24.4.9", "fixed_address": "1.1.1.1"}).status == 400
    assert nova.act(server, "addFloatingIp", {"address": "172.24.4.9"}, "2.44").status == 404
