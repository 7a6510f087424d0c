"""The metadata service in real namespaces: who asks is known by where the question comes in."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator

import pytest

from andromede.engines.linux import kernel, listener, names
from andromede.engines.linux.listener import Listener
from andromede.errors import Unavailable
from andromede.log import Log
from andromede.network import metadata
from tests.contract.test_fabric_packets import Cloud, pair
from tests.support import fabric as f
from tests.support.guests import Guest, eventually

pytestmark = pytest.mark.skipif(bool(f.why_not()), reason=f"the kernel's fabric: {f.why_not()}")

AT = "169.254.169.254"


class Facts:
    """A server that is called as its port."""

    user_data = b"x" * 300_000

    def __init__(self, port_id: str) -> None:
        self.port_id = port_id

    def openstack(self, name: str) -> bytes | None:
        return json.dumps({"uuid": self.port_id}).encode() if name == "meta_data.json" else self.user_data

    def content(self, name: str) -> bytes | None:
        return None

    def meta(self, path: str) -> str | None:
        return self.port_id


class Guests:
    """Servers of all ports but one."""

    unknown = f.ident("b 12")
    kept: str = ""

    def documents(self, port_id: str) -> metadata.Documents | None:
        if port_id == f.ident("broken"):
            raise Unavailable("the database is away")
        return None if port_id == self.unknown else Facts(port_id)

    def keep_password(self, port_id: str, text: str) -> bool:
        first = not self.kept
        self.kept = text
        return first


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with f.real() as (fabric, host):
        yield Cloud(fabric, host, "10.98.0")


def ask(guest: Guest, request: bytes, seconds: float = 3) -> bytes:
    made = guest.connect(AT, 80, seconds)
    assert made is not None
    with made, io.BytesIO() as found:
        made.sendall(request)
        while piece := made.recv(65536):
            found.write(piece)
        return found.getvalue()


def get(guest: Guest, path: str) -> tuple[int, bytes]:
    head, _, body = ask(
        guest, f"GET {path} HTTP/1.1\r\nHost: {AT}\r\nX-Forwarded-For: 10.0.0.12\r\n\r\n".encode()
    ).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture
def heard(cloud: Cloud) -> Iterator[tuple[Cloud, Listener, dict[str, Guest], io.StringIO]]:
    """Two networks with the same addresses, and a listener in both."""
    places: dict[tuple[str, str], str] = {}
    guests: dict[str, Guest] = {}
    log = io.StringIO()
    ears = Listener(
        cloud.host.installation, Guests(), lambda network, address: places.get((network, address)), Log(log)
    )
    ears.start()
    for word in "ab":
        network, *ports = pair(word)
        cloud.fabric.ensure(network)
        ears.open(network.id)
        ears.open(network.id)
        for port in ports:
            places[(network.id, port.fixed[0].address)] = port.id
            guests[f"{word}{port.fixed[0].address[-2:]}"] = cloud.guest(port)
            house = names.namespace(cloud.host.installation, "p", port.id)
            assert f.run_in(house, "ip", "route", "add", AT, "dev", "eth0").returncode == 0
    places[(f.ident("net a"), "10.0.0.12")] = f.ident("broken")
    yield cloud, ears, guests, log
    ears.stop()


Heard = tuple[Cloud, Listener, dict[str, Guest], io.StringIO]


def test_equal_addresses_of_two_tenants_get_their_own_answers(heard: Heard) -> None:
    _, _, guests, log = heard
    for word in "ab":
        status, body = get(guests[f"{word}11"], "/openstack/latest/meta_data.json")
        assert (status, json.loads(body)["uuid"]) == (200, f.ident(f"{word} 11"))
        assert get(guests[f"{word}11"], "/latest/meta-data/instance-id?x=1") == (200, f.ident(f"{word} 11").encode())
    assert get(guests["b12"], "/openstack/latest/meta_data.json")[0] == 404  # no server has this port
    assert get(guests["a12"], "/openstack/latest/meta_data.json")[0] == 503
    assert "the database is away" in log.getvalue()
    assert get(guests["a11"], "/openstack/latest/user_data") == (200, Facts.user_data)


def test_what_is_no_request_is_refused(heard: Heard) -> None:
    _, _, guests, _ = heard
    guest = guests["a11"]
    for request, status in (
        (b"nonsense\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 413),
        (b"DELETE / HTTP/1.1\r\n\r\n", 405),
        (b"HEAD / HTTP/1.0\n\n", 200),
        (b"GET http://169.254.169.254/openstack HTTP/1.1\r\n\r\n", 200),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 6\r\n\r\nsealed", 200),
        (b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 6\r\n\r\nsealed", 409),
        (b"POST /latest HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
    ):
        try:
            found = ask(guest, request)
        except ConnectionResetError:  # it was told so while it still sent
            assert len(request) > listener.MOST_HEAD
            continue
        assert int(found.split()[1]) == status, request[:40]
        assert request[:4] != b"HEAD" or found.endswith(b"\r\n\r\n")
    cut = guest.connect(AT, 80)
    assert cut is not None
    with cut:
        cut.sendall(b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 6\r\n\r\nse")
        cut.shutdown(socket.SHUT_WR)
        assert cut.recv(100).split()[1] == b"400"


def test_who_holds_all_connections_harms_only_its_network(heard: Heard) -> None:
    _, _, guests, _ = heard
    held = [guests["a11"].connect(AT, 80) for _ in range(listener.MOST_CONNECTIONS)]
    assert all(held)
    over = guests["a11"].connect(AT, 80)
    assert over is None or over.recv(10) == b""
    assert get(guests["b11"], "/openstack")[0] == 200
    for connection in (*held, over):
        if connection is not None:
            connection.close()
    assert eventually(lambda: get(guests["a11"], "/openstack")[0] == 200)


def test_it_follows_networks_as_they_come_and_go(heard: Heard) -> None:
    cloud, ears, guests, _ = heard
    network, *_ = pair("a")
    assert ears.networks() == {f.ident("net a"), f.ident("net b")}
    cloud.fabric.remove(network.id)
    ears.open(network.id)
    assert ears.networks() == {f.ident("net b")}
    cloud.fabric.ensure(network)
    ears.open(network.id)
    house = guests["a11"].namespace
    assert kernel.inode(house) is not None
    assert f.run_in(house, "ip", "route", "replace", AT, "dev", "eth0").returncode == 0
    assert get(guests["a11"], "/openstack")[0] == 200
    ears.close(network.id)
    assert guests["a11"].connect(AT, 80, 0.5) is None
    ears.close(network.id)
    ears.open(f.ident("nowhere"))
    assert ears.networks() == {f.ident("net b")}
