"""What hangs on servers: metadata, tags, volumes, ports, diagnostics, history, what guests read of themselves."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest

from andromede.app.hosting import metadata
from andromede.compute import actions
from andromede.compute.tables import DEVICES, SERVERS
from andromede.errors import NotFound
from tests.support.nova import BOOT_VOLUME, IMAGE, NETWORK, NOTHING, PORT, VOLUME, Nova


def test_metadata(nova: Nova) -> None:
    server = nova.active(metadata={"a": "1"})
    path = f"/servers/{server}/metadata"
    assert nova.call("GET", path).json == {"metadata": {"a": "1"}}
    assert nova.call("POST", path, {"metadata": {"b": "2"}}).json == {"metadata": {"a": "1", "b": "2"}}
    assert nova.call("PUT", path, {"metadata": {"c": "3"}}).json == {"metadata": {"c": "3"}}
    assert nova.call("GET", f"{path}/c").json == {"meta": {"c": "3"}}
    assert nova.call("PUT", f"{path}/d", {"meta": {"d": "4"}}).json == {"meta": {"d": "4"}}
    assert nova.call("GET", path).json == {"metadata": {"c": "3", "d": "4"}}
    answer = nova.call("DELETE", f"{path}/d")
    assert (answer.status, answer.raw) == (204, b"")
    for method, where, body, status in (
        ("DELETE", f"{path}/d", None, 404), ("GET", f"{path}/d", None, 404),
        ("PUT", f"{path}/x", {"meta": {"y": "1"}}, 400),
        ("POST", path, {}, 400), ("PUT", path, {"metadata": {"": "1"}}, 400), ("PUT", f"{path}/x", {}, 400),
        ("POST", path, {"metadata": {"k" * 256: "1"}}, 400), ("POST", path, {"metadata": {"k": None}}, 400),
        ("GET", f"/servers/{NOTHING}/metadata", None, 404), ("POST", path, None, 400),
        ("POST", path, {"metadata": {f"k{n}": "v" for n in range(128)}}, 403),
    ):  # fmt: skip
        assert nova.call(method, where, body).status == status, (method, where)


def test_tags(nova: Nova) -> None:
    server = nova.active()
    path = f"/servers/{server}/tags"
    assert nova.call("GET", path).status == 404
    for method, where, body, status in (
        ("PUT", f"{path}/a", None, 201), ("PUT", f"{path}/a", None, 204), ("GET", f"{path}/a", None, 204),
        ("GET", f"{path}/b", None, 404), ("DELETE", f"{path}/b", None, 404), ("DELETE", f"{path}/a", None, 204),
        ("PUT", path, {"tags": ["x", "y"]}, 200), ("PUT", path, {"tags": ["x", "x"]}, 400), ("PUT", path, {}, 400),
        ("PUT", f"{path}/{'t' * 61}", None, 400), ("PUT", path, {"tags": [f"t{n}" for n in range(51)]}, 400),
        ("PUT", path, {"tags": [f"t{n}" for n in range(50)]}, 200), ("PUT", f"{path}/more", None, 400),
        ("DELETE", path, None, 204),
    ):  # fmt: skip
        assert nova.call(method, where, body, "2.26").status == status, (method, where, body)
    assert nova.call("GET", path, None, "2.26").json == {"tags": []}
    nova.arrive(server, "deleting")
    assert nova.call("PUT", f"{path}/a", None, "2.26").status == 409


def test_volumes(nova: Nova) -> None:
    server = nova.active()
    path = f"/servers/{server}/os-volume_attachments"
    answer = nova.call("POST", path, {"volumeAttachment": {"volumeId": VOLUME, "device": "/dev/vdc"}})
    assert (answer.status, answer.json) == (
        200, {"volumeAttachment": {"id": VOLUME, "volumeId": VOLUME, "serverId": server, "device": "/dev/vdc"}},
    )  # fmt: skip
    (row,) = [d for d in DEVICES.select(nova.db, {"server_id": server}) if d.volume_id]
    assert (row.state, row.due_us is not None, row.request_id) == (
        "attaching", True, answer.headers["x-compute-request-id"],
    )  # fmt: skip
    assert nova.blocks.held == {VOLUME: server}
    assert nova.call("DELETE", f"{path}/{VOLUME}").status == 409
    nova.arrive(server)
    assert nova.call("GET", path).json["volumeAttachments"] == [answer.json["volumeAttachment"]]
    assert nova.call("GET", f"{path}?limit=1&offset=1").json["volumeAttachments"] == []
    assert nova.call("GET", f"{path}/{VOLUME}").json == answer.json
    shown = nova.call("GET", f"/servers/{server}").json["server"]
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": VOLUME}]
    shown = nova.call("GET", f"/servers/{server}", None, "2.3").json["server"]
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": VOLUME, "delete_on_termination": False}]
    for body, status in (
        ({"volumeId": VOLUME}, 400), ({"volumeId": NOTHING}, 404), ({"volumeId": "x"}, 400), ({}, 400),
        ({"volumeId": BOOT_VOLUME, "device": "/dev/vdc"}, 409), ({"volumeId": BOOT_VOLUME, "device": "v d"}, 400),
        ({"volumeId": BOOT_VOLUME, "device": "/dev/v d"}, 400), ({"volumeId": BOOT_VOLUME, "tag": "t"}, 400),
    ):  # fmt: skip
        assert nova.call("POST", path, {"volumeAttachment": body}).status == status, body
    tagged = nova.call(
        "POST", path, {"volumeAttachment": {"volumeId": BOOT_VOLUME, "device": "vdx", "tag": "t"}}, "2.49"
    )
    assert tagged.json["volumeAttachment"]["device"] == "/dev/vdx"
    put = {"volumeAttachment": {"volumeId": BOOT_VOLUME}}
    answer = nova.call("PUT", f"{path}/{VOLUME}", put)
    assert answer.status == 409
    assert "should only be called by Cinder" in answer.json["conflictingRequest"]["message"]
    assert nova.call("PUT", f"{path}/{VOLUME}", {"volumeAttachment": {"volumeId": "x"}}).status == 400
    assert nova.call("PUT", f"{path}/{NOTHING}", put).status == 404
    assert nova.call("PUT", f"{path}/{VOLUME}", {"volumeAttachment": {"volumeId": NOTHING}}).status == 409
    answer = nova.call("DELETE", f"{path}/{VOLUME}")
    assert (answer.status, nova.blocks.held[VOLUME]) == (202, "detaching")
    assert nova.call("DELETE", f"{path}/{NOTHING}").status == 404
    actions_ = nova.call("GET", f"/servers/{server}/os-instance-actions").json["instanceActions"]
    assert [row["action"] for row in actions_] == ["detach_volume", "attach_volume", "attach_volume", "create"]


def test_an_attach_that_failed_may_be_tried_again(nova: Nova) -> None:
    server = nova.active()
    path, body = f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": VOLUME}}
    assert nova.call("POST", path, body).json["volumeAttachment"]["device"] == "/dev/vdb"
    with nova.db.write() as tx:
        DEVICES.update(tx, {"server_id": server, "volume_id": VOLUME}, state="error", due_us=None)
    nova.blocks.held.clear()
    assert nova.call("GET", path).json["volumeAttachments"] == []
    assert nova.call("POST", path, body).json["volumeAttachment"]["device"] == "/dev/vdb"
    (row,) = [d for d in DEVICES.select(nova.db, {"server_id": server}) if d.volume_id]
    assert row.state == "attaching"


def test_a_root_volume_stays(nova: Nova) -> None:
    disk = {"boot_index": 0, "uuid": BOOT_VOLUME, "source_type": "volume", "destination_type": "volume"}
    server = nova.active(imageRef="", block_device_mapping_v2=[disk])
    assert nova.call("DELETE", f"/servers/{server}/os-volume_attachments/{BOOT_VOLUME}").status == 403
    assert nova.act(server, "rescue").status == 400
    assert nova.act(server, "createBackup", {"name": "b", "backup_type": "d", "rotation": 1}).status == 400
    assert nova.act(server, "resize", {"flavorRef": "tiny2"}).status == 202


def test_devices_have_a_limit(nova: Nova) -> None:
    server = nova.active()
    with nova.db.write() as tx:
        row = DEVICES.select(tx, {"server_id": server})[0]
        for number in range(12):
            DEVICES.insert(tx, dataclasses.replace(row, id=f"x{number}", volume_id=f"v{number}", position=number + 5))
    body = {"volumeAttachment": {"volumeId": VOLUME}}
    assert nova.call("POST", f"/servers/{server}/os-volume_attachments", body).status == 403
    assert nova.call("POST", f"/servers/{server}/os-interface", {"interfaceAttachment": {}}).status == 403


def test_ports(nova: Nova) -> None:
    server = nova.active()
    path = f"/servers/{server}/os-interface"
    answer = nova.call("POST", path, {"interfaceAttachment": {}})
    assert answer.status == 200
    port = answer.json["interfaceAttachment"]
    assert set(port) == {"port_id", "net_id", "mac_addr", "port_state", "fixed_ips"}
    with_ip = {"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.0.0.77"}]}
    nova.arrive(server)
    answer = nova.call("POST", path, {"interfaceAttachment": with_ip})
    assert answer.json["interfaceAttachment"]["fixed_ips"][0]["ip_address"] == "10.0.0.77"
    answer = nova.call("POST", path, {"interfaceAttachment": {"port_id": PORT, "tag": "t"}}, "2.49")
    assert answer.json["interfaceAttachment"]["port_id"] == PORT
    assert len(nova.call("GET", path).json["interfaceAttachments"]) == 3
    assert nova.call("GET", f"{path}/{PORT}").status == 200, "also while it is being plugged in"
    assert nova.call("GET", f"{path}/{port['port_id']}").json["interfaceAttachment"] == port
    assert nova.call("GET", f"{path}/{NOTHING}").status == 404
    nova.arrive(server)
    for body, status in (
        ({"port_id": NOTHING}, 404), ({"net_id": NOTHING}, 400), ({"port_id": PORT, "net_id": NETWORK}, 400),
        ({"fixed_ips": [{"ip_address": "10.0.0.1"}]}, 400), ({"port_id": PORT}, 409), ({"x": 1}, 400),
        ({"net_id": NETWORK, "fixed_ips": [{"ip_address": "x"}]}, 400), ({"net_id": NETWORK, "fixed_ips": [{}]}, 400),
        ({"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.0.0.66"}]}, 400), ({"port_id": port["port_id"]}, 409),
    ):  # fmt: skip
        assert nova.call("POST", path, {"interfaceAttachment": body}).status == status, body
    known = nova.wires.networks
    nova.wires.networks = []
    assert nova.call("POST", path, {"interfaceAttachment": {}}).status == 409
    nova.wires.networks = known
    assert nova.call("DELETE", f"{path}/{port['port_id']}").status == 202
    assert nova.call("DELETE", f"{path}/{port['port_id']}").status == 409
    assert nova.call("DELETE", f"{path}/{NOTHING}").status == 404


def test_diagnostics(nova: Nova) -> None:
    server = nova.active()
    path = f"/servers/{server}/diagnostics"
    assert nova.call("GET", path).status == 403
    old = nova.admin("GET", path).json
    assert (old["cpu0_time"], old["memory"], old["vda_read_bytes"]) == (5, 262144, 1)
    new = nova.admin("GET", path, None, "2.48").json
    assert set(new) == {
        "state", "driver", "hypervisor", "hypervisor_os", "uptime", "config_drive", "num_cpus", "num_nics", "num_disks",
        "memory_details", "cpu_details", "nic_details", "disk_details",
    }  # fmt: skip
    assert (new["state"], new["num_cpus"], new["memory_details"]) == ("running", 2, {"maximum": 256, "used": 128})
    nova.arrive(server, "stopped")
    assert nova.admin("GET", path).status == 409


def test_history(nova: Nova) -> None:
    body = {"server": {"name": "w", "flavorRef": "tiny", "imageRef": IMAGE}}
    answer = nova.call("POST", "/servers", body)
    server, request = answer.json["server"]["id"], answer.headers["x-compute-request-id"]
    with nova.db.write() as tx:
        actions.event(tx, (server, request), "compute__do_build_and_run_instance", (1, 2_000_000))
        actions.finish(tx, server, request, 3_000_000)
    path = f"/servers/{server}/os-instance-actions"
    (row,) = nova.call("GET", path).json["instanceActions"]
    assert set(row) == {"action", "instance_uuid", "request_id", "user_id", "project_id", "start_time", "message"}
    assert (row["action"], row["request_id"], row["message"]) == ("create", request, None)
    shown = nova.call("GET", f"{path}/{request}").json["instanceAction"]
    assert "events" not in shown
    (event,) = nova.admin("GET", f"{path}/{request}").json["instanceAction"]["events"]
    assert set(event) == {"event", "start_time", "finish_time", "result", "traceback"}
    (event,) = nova.call("GET", f"{path}/{request}", None, "2.51").json["instanceAction"]["events"]
    assert set(event) == {"event", "start_time", "finish_time", "result"}
    assert event["result"] == "Success"
    assert nova.call("GET", f"{path}/req-nothing").status == 404
    nova.act(nova.arrive(server), "os-stop")
    answer = nova.call("GET", f"{path}?limit=1", None, "2.58").json
    assert [row["action"] for row in answer["instanceActions"]] == ["stop"]
    assert "updated_at" in answer["instanceActions"][0]
    assert answer["links"][0]["rel"] == "next"
    assert nova.call("GET", f"{path}?changes-since=2999-01-01T00:00:00Z", None, "2.58").json["instanceActions"] == []


def test_passwords_and_migrations(nova: Nova) -> None:
    server = nova.active()
    assert nova.call("GET", f"/servers/{server}/os-server-password").json == {"password": ""}
    assert nova.call("DELETE", f"/servers/{server}/os-server-password").status == 204
    assert nova.admin("GET", f"/servers/{server}/migrations", None, "2.23").json == {"migrations": []}
    assert nova.admin("GET", f"/servers/{server}/migrations/1", None, "2.23").status == 404
    assert nova.admin("DELETE", f"/servers/{server}/migrations/1", None, "2.24").status == 404
    force = {"force_complete": None}
    assert nova.admin("POST", f"/servers/{server}/migrations/1/action", force, "2.22").status == 404


def test_a_guest_keeps_a_password_for_its_owner(nova: Nova) -> None:
    server = nova.active()
    port = nova.wires.create_port(nova.project_id, server, NETWORK, "10.0.0.5", "r")
    guests, path = metadata.Servers(nova.hosted.site), f"/servers/{server}/os-server-password"
    assert [guests.keep_password(port.id, text) for text in ("sealed", "other")] == [True, False]
    assert nova.call("GET", path).json == {"password": "sealed"}
    assert nova.compute.metadata(port.id).openstack("password") == b"sealed"
    assert guests.keep_password(NOTHING, "x") is False
    assert nova.call("DELETE", path).status == 204
    assert nova.call("GET", path).json == {"password": ""}
    assert guests.keep_password(port.id, "again") is True


def test_a_guest_reads_of_itself(nova: Nova) -> None:
    nova.call("POST", "/os-keypairs", {"keypair": {"name": "k"}})
    script = base64.b64encode(b"#!/bin/sh\n").decode()
    server = nova.active(
        key_name="k", metadata={"a": "b"}, user_data=script, name="Web Server.1",
        personality=[{"path": "/etc/x", "contents": base64.b64encode(b"file").decode()}],
    )  # fmt: skip
    nova.wires.create_port(nova.project_id, server, NETWORK, "10.0.0.5", "r")
    nova.wires.change_group(server, "77777777-7777-4777-8777-777777777777", True, "r")
    with nova.db.write() as tx:
        DEVICES.update(tx, {"server_id": server, "kind": "nic"}, tag="front", mac="m", bus="pci", slot="0000:00:03.0")
        DEVICES.update(tx, {"server_id": server, "kind": "disk"}, tag="root")
        SERVERS.update(tx, {"id": server}, admin_pass="secret")
    port = next(port for port in nova.wires.ports.values() if port.device_id == server)
    found = nova.compute.metadata(port.id)
    meta: dict[str, Any] = json.loads(found.openstack("meta_data.json") or b"")
    assert (meta["uuid"], meta["name"], meta["hostname"]) == (server, "Web Server.1", "web-server-1.novalocal")
    assert (meta["availability_zone"], meta["project_id"], meta["meta"]) == ("nova", nova.project_id, {"a": "b"})
    assert list(meta["public_keys"]) == ["k"]
    assert meta["keys"][0]["data"].startswith("ssh-rsa ")
    assert len(base64.b64decode(meta["random_seed"])) == 512
    assert meta["admin_pass"] == "secret"
    assert {tuple(device["tags"]) for device in meta["devices"]} == {("front",), ("root",)}
    assert found.user_data == b"#!/bin/sh\n" == found.openstack("user_data")
    network = json.loads(found.openstack("network_data.json") or b"")
    assert network["links"][0]["ethernet_mac_address"] == port.mac
    assert [entry["type"] for entry in network["networks"]] == ["ipv4_dhcp", "ipv6"]
    assert network["networks"][1]["routes"][0]["gateway"] == "fd00::1"
    assert json.loads(found.openstack("vendor_data2.json") or b"")["static"]["cloud-init"].startswith("#cloud-config")
    assert found.openstack("password") == b""
    assert found.openstack("nothing") is None
    assert (found.content("0000"), found.content("0001"), found.content("x")) == (b"file", None, None)
    assert found.meta("local-ipv4") == "10.0.0.5"
    assert found.meta("instance-id") == f"i-{server[:8]}"
    assert found.meta("public-keys") == "0=k"
    assert found.meta("public-keys/0") == "openssh-key"
    assert "placement/" in (found.meta("") or "")
    assert found.meta("nothing") is None
    drive = found.drive()
    assert json.loads(drive["openstack/latest/meta_data.json"]) == meta
    assert drive["openstack/content/0000"] == b"file"
    assert json.loads(drive["ec2/latest/meta-data.json"])["placement"]["availability-zone"] == "nova"
    assert drive["openstack/latest/user_data"] == drive["ec2/latest/user-data"] == b"#!/bin/sh\n"
    plain = nova.compute.documents(nova.arrive(str(nova.server()["id"]), host=""))
    assert plain.openstack("user_data") is None
    assert plain.meta("public-keys") is None
    assert "keys" not in plain.meta_data
    with pytest.raises(NotFound):
        nova.compute.metadata(PORT)
    nova.call("DELETE", "/os-keypairs/k")
