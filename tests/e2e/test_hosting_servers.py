"""Servers of the installed program: real guests from Nova's API to a port that answers, past every death."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.hosted import Preparer, settings, why_not
from tests.support.installation import Installation, wait_until
from tests.support.processes import processes
from tests.unit.compute.test_relay import exactly, head, masked

pytestmark = [pytest.mark.skipif(bool(why_not()), reason=why_not()), pytest.mark.timeout(600)]
BOOT_SECONDS = 120.0
"""A guest of software emulation on a machine that is busy."""


@dataclass
class Site:
    """A running installation with a network, a way outside and one server on it."""

    installation: Installation
    hand: Preparer
    runtime: Path
    server: str = ""
    address: str = ""
    network: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "compute", **headers: str) -> Any:
        return self.hand.ask(method, kind, path, body, **headers)

    def show(self) -> dict[str, Any]:
        return dict(self.ask("GET", f"/servers/{self.server}")["server"])

    def act(self, name: str, value: Any = None, status: str = "ACTIVE", seconds: float = 60.0) -> None:
        """An action, and the status that it comes to rest in."""
        self.ask("POST", f"/servers/{self.server}/action", {name: value})
        self.rest(status, seconds)

    def rest(self, status: str, seconds: float = 60.0) -> None:
        def there() -> bool:
            found = self.show()
            assert found["status"] != "ERROR" or status == "ERROR", found["fault"]
            return bool(found["status"] == status and found["OS-EXT-STS:task_state"] is None)

        wait_until(f"the server is {status}", there, seconds, 0.05)

    def console(self, lines: int | None = None) -> str:
        asked = {} if lines is None else {"length": lines}
        return str(self.ask("POST", f"/servers/{self.server}/action", {"os-getConsoleOutput": asked})["output"])

    def type(self, line: str, shown: str) -> None:
        """A line for the shell on the serial port, until that shows something: what is still on its way when the
        connection ends is lost."""
        with socket.socket(socket.AF_UNIX) as port:
            port.connect(str(self.place / "s" / "ser"))
            port.sendall(b"\n" + line.encode() + b"\n")
            wait_until(f"the guest shows {shown}", lambda: shown in self.console(), 30.0)

    def answers(self) -> bool:
        """Whether the guest's ssh port says so through the floating IP."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, 22), timeout=2) as made:
            return made.recv(8).startswith(b"SSH-2.0")
        return False

    @property
    def place(self) -> Path:
        return next(self.runtime.glob("*/g")) / self.server

    @property
    def pid(self) -> int:
        return int((self.place / "s" / "pid").read_text())


def _network(site: Site) -> None:
    def make(kind: str, **values: Any) -> dict[str, Any]:
        found = site.ask("POST", f"/v2.0/{kind.replace('_', '-')}s", {kind: values}, "network")
        return dict(found[kind])

    public = wait_until("a network outside", lambda: site.ask(
        "GET", "/v2.0/networks?router:external=true", kind="network")["networks"])[0]  # fmt: skip
    network = make("network", name="inner")
    subnet = make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    router = make("router", name="way", external_gateway_info={"network_id": public["id"]})
    site.ask("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]}, "network")
    group = make("security_group", name="ssh")
    make("security_group_rule", security_group_id=group["id"], direction="ingress", ethertype="IPv4",
         protocol="tcp", port_range_min=22, port_range_max=22)  # fmt: skip
    site.network, site.facts["public"] = network["id"], public["id"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    runtime = Path(f"/run/a{os.getpid()}")
    chosen = {**settings(), "hosting.runtime": str(runtime)}
    installation = Installation.fresh(**{name.replace(".", "__"): value for name, value in chosen.items()})
    with installation:
        made = Site(installation, Preparer(installation, tmp_path_factory.mktemp("images")), runtime)
        image = made.hand.image("tiny")["id"]
        _network(made)
        flavor = next(f for f in made.ask("GET", "/flavors")["flavors"] if f["name"] == "tiny")["id"]
        larger = next(f for f in made.ask("GET", "/flavors")["flavors"] if f["name"] == "tiny2")["id"]
        made.facts |= {"image": image, "flavor": flavor, "larger": larger}
        wish = {"name": "web", "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": made.network}],
                "security_groups": [{"name": "ssh"}]}  # fmt: skip
        made.server = made.ask("POST", "/servers", {"server": wish})["server"]["id"]
        made.rest("ACTIVE")
        port = made.ask("GET", f"/v2.0/ports?device_id={made.server}", kind="network")["ports"][0]["id"]
        floating = {"floating_network_id": made.facts["public"], "port_id": port}
        found = made.ask("POST", "/v2.0/floatingips", {"floatingip": floating}, "network")["floatingip"]
        made.address = found["floating_ip_address"]
        yield made
        made.hand.admin.http.close()
    shutil.rmtree(installation.data, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)


def test_a_server_answers_through_its_floating_ip(site: Site) -> None:
    wait_until("the guest is ready", lambda: "ready" in site.console(), BOOT_SECONDS, 0.5)
    wait_until("its port 22 answers", site.answers, BOOT_SECONDS, 0.5)
    assert "web" in site.console(), "the guest read its name from the metadata service"
    addresses = {one["addr"] for one in site.show()["addresses"]["inner"]}
    assert site.address in addresses and len(addresses) == 2


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")


def test_its_process_is_confined(site: Site) -> None:
    """Its own user, no capability, seccomp, no way to other files, and no key in sight."""
    pid = site.pid
    status = dict(line.split(":\t") for line in _proc(pid, "status").splitlines() if ":\t" in line)
    uid = int(status["Uid"].split()[0])
    assert uid >= 0x7000_0000 and set(status["Uid"].split()) == {str(uid)} == set(status["Gid"].split())
    assert status["Groups"].strip() == "" and int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    line, environment = _proc(pid, "cmdline"), _proc(pid, "environ")
    assert str(site.installation.data) not in line + environment and ".qcow2" not in line
    assert "LC_ALL=C" in environment and len(environment) < 200
    files = [*site.installation.data.rglob("*.qcow2"), site.place / "record", site.place / "console.log"]
    assert files and all(path.stat().st_uid == 0 and path.stat().st_mode & 0o077 == 0 for path in files)
    assert (site.place / "s").stat().st_mode & 0o777 == 0o700 and (site.place / "s").stat().st_uid == uid
    assert not _reached(str(site.place / "s" / "qmp"), uid + 1), "another guest's user reached the monitor"
    assert _reached(str(site.place / "s" / "qmp"), uid), "the question itself is right"


def _reached(path: str, uid: int) -> bool:
    """Whether a user may open a socket."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            socket.socket(socket.AF_UNIX).connect(path)
            code = 0
        except PermissionError:
            code = 1
        finally:
            os._exit(code)
    found = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert found in (0, 1), found
    return found == 0


def test_processors_memory_and_process_are_what_the_actions_say(site: Site) -> None:
    site.act("pause", status="PAUSED")
    site.act("unpause")
    pid = site.pid
    site.act("suspend", status="SUSPENDED")
    kept = list((site.installation.data / "memory").iterdir())
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o077 == 0 and not Path(f"/proc/{pid}").exists()
    assert b"BusyBox" not in kept[0].read_bytes(), "the guest's memory lies there in clear"
    site.act("resume")
    assert not kept[0].exists() and site.pid != pid
    wait_until("the guest goes on", site.answers, BOOT_SECONDS, 0.5)


def test_a_volume_comes_grows_and_goes_while_the_guest_runs(site: Site) -> None:
    made = site.ask("POST", "/volumes", {"volume": {"size": 1, "name": "data"}}, "block-storage")["volume"]["id"]

    def status(wanted: str) -> Callable[[], bool]:
        found = lambda: site.ask("GET", f"/volumes/{made}", kind="block-storage")["volume"]["status"]  # noqa: E731
        return lambda: bool(found() == wanted)

    wait_until("the volume is there", status("available"))
    wish = {"volumeAttachment": {"volumeId": made}}
    device = site.ask("POST", f"/servers/{site.server}/os-volume_attachments", wish)["volumeAttachment"]["device"]
    wait_until("it is in use", status("in-use"))
    assert device == "/dev/vdb"
    extend = {"os-extend": {"new_size": 2}}
    newer = {"OpenStack-API-Version": "volume 3.42"}
    site.ask("POST", f"/volumes/{made}/action", extend, "block-storage", **newer)
    wait_until("it has grown", status("in-use"))
    wait_until("it is of 2 GiB", lambda: site.ask(
        "GET", f"/volumes/{made}", kind="block-storage")["volume"]["size"] == 2)  # fmt: skip
    site.ask("DELETE", f"/servers/{site.server}/os-volume_attachments/{made}")
    wait_until("it is free", status("available"))
    site.ask("DELETE", f"/volumes/{made}", kind="block-storage")


def test_a_console_in_a_browser_is_the_guests_own(site: Site) -> None:
    asked = {"remote_console": {"protocol": "serial", "type": "serial"}}
    newer = {"OpenStack-API-Version": "compute 2.6"}
    made = site.ask("POST", f"/servers/{site.server}/remote-consoles", asked, **newer)["remote_console"]["url"]
    url = urlsplit(made)
    request = (
        f"GET /console/open?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    ).encode()
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=30) as connection:
        connection.sendall(request)
        assert head(connection).startswith(b"HTTP/1.1 101")
        connection.sendall(masked(2, b"\necho the-$((40 + 2))-th\n"))
        found = b""
        while b"the-42-th" not in found:
            first, length = exactly(connection, 2)
            assert first == 0x82
            if length == 126:
                (length,) = struct.unpack("!H", exactly(connection, 2))
            found += exactly(connection, length)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=30) as connection:
        connection.sendall(request)
        assert head(connection).startswith(b"HTTP/1.1 403"), "a token is good once"


def test_a_guest_outlives_every_role_and_is_found_again(site: Site) -> None:
    pid = site.pid
    for victim in processes(site.installation.data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    wait_until("all roles are dead", lambda: not processes(site.installation.data))
    assert site.answers() or Path(f"/proc/{pid}").exists(), "the guest died with the program"
    site.installation.start()
    site.rest("ACTIVE", 30.0)
    site.act("pause", status="PAUSED", seconds=10.0)
    site.act("unpause", seconds=10.0)
    assert site.pid == pid and site.console(1) is not None
    wait_until("the guest answers as before", site.answers, 30.0, 0.5)


def _checked(site: Site, data: Path, disk: Any) -> bytes:
    """The plain bytes of a restored disk, whose structure is sound."""
    from andromede.engines.qcow2 import tool
    from andromede.engines.qcow2.engine import Qcow2Engine
    from andromede.ids import RandomIds

    engine = Qcow2Engine(data / "volumes", RandomIds())
    with contextlib.ExitStack() as stack:
        command = tool.Command(stack)
        tool.run(command, ["check", "-q", "--image-opts", command.disk(engine.file(disk.id), disk)], "the copy")
    with engine.plain(disk) as raw:
        return b"".join(raw.read(at, length) for at, length in raw.extents())


def _disk(data: Path, disk_id: str) -> Any:
    from andromede.app import Base
    from andromede.app.hosting.site import Site as Services
    from andromede.config import load

    base = Base.open(load(data), "operator")
    services = Services(base)
    try:
        return services.disks.value(disk_id)
    finally:
        services.close()
        base.db.close()


@pytest.mark.skipif("__import__('os').environ.get('ANDROMEDE_TEST_POSTGRES')", reason="restores into SQLite")
def test_a_backup_of_the_running_cloud_holds_its_disks(site: Site, tmp_path: Path) -> None:
    site.type("echo word-$((40 + 2)) > /saved; sync; echo done-$((40 + 2))", "done-42")
    second = Installation(tmp_path / "second", settings=site.installation.settings)
    site.installation.run("backup", str(tmp_path / "copy"))
    told = json.loads((tmp_path / "copy" / "backup.json").read_text())
    live = [Path(one["file"]).stem for one in told["holds"] if one["how"] == "running"]
    assert len(live) == 1 and told["lacks"] == [] and site.answers()
    said = second.run("restore", str(tmp_path / "copy")).stdout
    assert "checked: no errors" in said and "run on this machine on other disks than these" in said
    refused = second.run("up", "--listen", second.api, "--objects", second.objects, "--detach", check=False)
    assert refused.returncode == 1 and "only one of them can host on this machine" in refused.stdout
    disk = _disk(second.data, live[0])
    assert disk.base.path.parent == second.data / "volumes" / "bases" and disk.base.path.exists()
    assert b"word-42" in _checked(site, second.data, disk)
    held = [os.readlink(link) for link in Path(f"/proc/{site.pid}/fd").iterdir()]
    assert not [name for name in held if name.startswith(str(tmp_path))], "the guest has let go of the copy"


def test_a_hypervisor_process_that_is_killed_is_told_and_a_hard_reboot_cures(site: Site) -> None:
    os.kill(site.pid, signal.SIGKILL)
    begun = time.monotonic()
    site.rest("ERROR", 30.0)
    took = time.monotonic() - begun
    found = site.show()
    assert found["fault"]["message"] == "hypervisor process ended: signal 9", found["fault"]
    assert took < 15.0, f"it took {took:.1f} s"
    site.ask("POST", f"/servers/{site.server}/action", {"reboot": {"type": "HARD"}})
    wait_until("the server is ACTIVE", lambda: site.show()["status"] == "ACTIVE", 60.0)
    wait_until("the guest is ready", lambda: "ready" in site.console(), BOOT_SECONDS, 0.5)


def test_the_guests_own_power_off_shuts_the_server_off(site: Site) -> None:
    former = site.pid
    site.act("os-stop", status="SHUTOFF", seconds=90.0)
    assert not Path(f"/proc/{former}").exists()
    site.act("os-start")
    wait_until("the guest is ready", site.answers, BOOT_SECONDS, 0.5)


def test_a_host_that_lost_its_guests_starts_what_was_running(site: Site) -> None:
    """What a reboot of the machine leaves: rows, and neither processes nor their records."""
    former = site.pid
    site.installation.run("down")
    os.kill(former, signal.SIGKILL)
    wait_until("the process is gone", lambda: not Path(f"/proc/{former}").exists())
    shutil.rmtree(site.place)
    site.installation.start()
    wait_until("the guest runs again", lambda: site.place.joinpath("s", "pid").exists(), 60.0)
    site.rest("ACTIVE", 60.0)
    assert site.pid != former
    wait_until("the guest is ready", site.answers, BOOT_SECONDS, 0.5)


def test_an_image_and_a_shelved_server_are_made_of_the_root(site: Site) -> None:
    newer = {"OpenStack-API-Version": "compute 2.45"}
    asked = {"createImage": {"name": "copy"}}
    made = site.ask("POST", f"/servers/{site.server}/action", asked, **newer)["image_id"]
    wait_until("the image is active", lambda: site.ask(
        "GET", f"/v2/images/{made}", kind="image")["status"] == "active", 120.0)  # fmt: skip
    site.rest("ACTIVE")
    site.act("shelve", status="SHELVED_OFFLOADED", seconds=180.0)
    site.act("unshelve", seconds=180.0)
    wait_until("the guest is ready", lambda: "ready" in site.console(), BOOT_SECONDS, 0.5)


def test_sizes_change_and_change_back(site: Site) -> None:
    site.act("resize", {"flavorRef": site.facts["larger"]}, "VERIFY_RESIZE", 120.0)
    site.act("revertResize", seconds=120.0)
    site.act("resize", {"flavorRef": site.facts["larger"]}, "VERIFY_RESIZE", 120.0)
    site.act("confirmResize")
    assert site.show()["flavor"]["id"] == site.facts["larger"]


def test_a_deleted_server_leaves_nothing(site: Site) -> None:
    pid, place = site.pid, site.place
    site.ask("DELETE", f"/servers/{site.server}")
    wait_until("it is gone", lambda: all(
        one["id"] != site.server for one in site.ask("GET", "/servers")["servers"]))  # fmt: skip
    wait_until("its process is gone", lambda: not Path(f"/proc/{pid}").exists())
    wait_until("its folder is gone", lambda: not place.exists())
    assert site.ask("GET", f"/v2.0/ports?device_id={site.server}", kind="network")["ports"] == []
    wait_until("its disks are gone", lambda: not list((site.installation.data / "volumes").glob("*.qcow2")))
    assert list((site.runtime / "uids").iterdir()) == []
