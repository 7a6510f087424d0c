"""Load balancers carry real bytes between namespaces: TCP, HTTP with policies, TLS, UDP; health, counters, changes
without a refused connection, and adoption after the program's death."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import http.client
import http.server
import os
import shutil
import signal
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from andromede.balancer.engine import (
    BalancerPart,
    Carried,
    ListenerPart,
    MemberPart,
    MonitorPart,
    PolicyPart,
    PoolPart,
    RulePart,
)
from andromede.clock import SystemClock
from andromede.engines.haproxy.engine import HaproxyCarrier
from andromede.engines.linux import kernel, names
from andromede.engines.linux.host import Host
from andromede.errors import Unavailable
from tests.support import fabric as made
from tests.support.installation import wait_until

REASON = made.why_not() or ("needs haproxy" if shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None else "")
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
VIP, CLIENT = "10.0.0.50", "10.0.0.60"
MEMBERS = {"alpha": "10.0.0.10", "beta": "10.0.0.11"}
LB = made.ident("lb")


class Hello(http.server.BaseHTTPRequestHandler):
    """Says who it is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        body = f"{server.word} {self.path} {self.headers.get('X-Forwarded-For', '-')}".encode()
        status = 200 if server.well or self.path != "/health" else 503
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: Any) -> None:
        """Nothing."""


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True
    well = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or a process that was killed, is no fault here."""

    def __init__(self, place: str, address: str, word: str) -> None:
        self.word = word
        super().__init__((address, 80), Hello, bind_and_activate=False)
        self.socket.close()
        self.socket = kernel.inside(place, socket.socket)
        self.server_bind()
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Echo:
    """Answers datagrams with its name."""

    def __init__(self, place: str, address: str, word: str) -> None:
        self.socket = kernel.inside(place, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.bind((address, 53))
        self.word = word
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                text, peer = self.socket.recvfrom(1024)
                if peer is None:
                    return
                self.socket.sendto(self.word.encode() + b" " + text, peer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@dataclass
class Stage:
    host: Host
    carrier: HaproxyCarrier
    webs: dict[str, Web]
    echoes: dict[str, Echo]
    runtime: Path

    def place(self, word: str) -> str:
        return names.namespace(self.host.installation, "p", made.ident(word))

    def inside(self, work: Callable[[], Any]) -> Any:
        return kernel.inside(self.place("client"), work)

    def get(
        self, path: str = "/", port: int = 80, host: str = "x.test", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        def ask() -> tuple[int, str, dict[str, str]]:
            with contextlib.closing(http.client.HTTPConnection(VIP, port, timeout=5)) as connection:
                connection.request("GET", path, headers={"Host": host, **headers})
                answer = connection.getresponse()
                return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}

        found: tuple[int, str, dict[str, str]] = self.inside(ask)
        return found

    def datagram(self, port: int = 53) -> str:
        def ask() -> str:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.settimeout(3)
                one.sendto(b"hello", (VIP, port))
                return one.recv(1024).decode()

        return str(self.inside(ask))

    def observed(self) -> Carried:
        found = self.carrier.observe(LB)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    runtime = tmp_path_factory.mktemp("lb")
    with made.real() as (fabric, host):
        within = made.subnet("lb")
        ports = [made.port("vip", VIP, within, secured=False, groups=()), made.port("client", CLIENT, within)]
        ports += [made.port(word, address, within) for word, address in MEMBERS.items()]
        fabric.ensure(made.network("lb", (within,), tuple(ports)))
        carrier = HaproxyCarrier(host.installation, runtime, SystemClock())
        found = Stage(host, carrier, {}, {}, runtime)
        for word, address in MEMBERS.items():
            found.webs[word] = Web(found.place(word), address, word)
            found.echoes[word] = Echo(found.place(word), address, word)
        yield found
        carrier.remove(LB)
        for web in found.webs.values():
            web.shutdown()
            web.server_close()
        for echo in found.echoes.values():
            echo.close()


def member(word: str, port: int = 80, **more: Any) -> MemberPart:
    return MemberPart(made.ident(f"member {word} {port}"), MEMBERS[word], port, **more)


def part(*listeners: ListenerPart, pools: tuple[PoolPart, ...] = ()) -> BalancerPart:
    return BalancerPart(LB, made.ident("vip"), VIP, listeners, pools)


POOL = PoolPart(made.ident("pool"), "HTTP", "ROUND_ROBIN", (member("alpha"), member("beta")))
HTTP = ListenerPart(made.ident("http"), "HTTP", 80, pool_id=POOL.id, headers=("X-Forwarded-For",))
TCP = ListenerPart(made.ident("tcp"), "TCP", 8080, pool_id=POOL.id)


def test_http_goes_to_each_member_in_turn(stage: Stage) -> None:
    stage.carrier.ensure(part(HTTP, pools=(POOL,)))
    answers = Counter(stage.get("/a")[1] for _ in range(6))
    assert answers == {f"alpha /a {CLIENT}": 3, f"beta /a {CLIENT}": 3}


def test_tcp_and_counters(stage: Stage) -> None:
    stage.carrier.ensure(part(TCP, pools=(POOL,)))
    assert {stage.get("/t", 8080)[1].split()[0] for _ in range(4)} == {"alpha", "beta"}
    counted = stage.observed().traffic[TCP.id]
    assert counted["total_connections"] == 4
    assert counted["bytes_in"] > 100
    assert counted["bytes_out"] > 100
    with pytest.raises(OSError):
        stage.get("/", 80)  # that listener is gone


def test_weights_backups_and_sources(stage: Stage) -> None:
    pool = dataclasses.replace(POOL, members=(member("alpha", weight=3), member("beta", weight=1)))
    stage.carrier.ensure(part(HTTP, pools=(pool,)))
    assert Counter(stage.get()[1].split()[0] for _ in range(8)) == {"alpha": 6, "beta": 2}
    pool = dataclasses.replace(POOL, members=(member("alpha", backup=True), member("beta")))
    stage.carrier.ensure(part(HTTP, pools=(pool,)))
    assert {stage.get()[1].split()[0] for _ in range(4)} == {"beta"}
    shut = dataclasses.replace(HTTP, sources=("192.0.2.0/24",))
    stage.carrier.ensure(part(shut, pools=(POOL,)))
    with pytest.raises((OSError, http.client.HTTPException)):
        stage.get()
    stage.carrier.ensure(part(dataclasses.replace(HTTP, sources=("10.0.0.0/24", "192.0.2.0/24")), pools=(POOL,)))
    assert stage.get()[0] == 200


def test_sessions_stay_with_their_member(stage: Stage) -> None:
    stage.carrier.ensure(part(HTTP, pools=(dataclasses.replace(POOL, stick="SOURCE_IP"),)))
    assert len({stage.get()[1].split()[0] for _ in range(5)}) == 1
    stage.carrier.ensure(part(HTTP, pools=(dataclasses.replace(POOL, stick="HTTP_COOKIE"),)))
    status, first, headers = stage.get()
    assert status == 200
    cookie = headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("SRV=")
    assert {stage.get(Cookie=cookie)[1].split()[0] for _ in range(4)} == {first.split()[0]}


def test_policies(stage: Stage) -> None:
    other = PoolPart(made.ident("other"), "HTTP", "LEAST_CONNECTIONS", (member("beta"),))

    def policy(word: str, action: str, target: str, *rules: RulePart, code: int = 302) -> PolicyPart:
        return PolicyPart(made.ident(word), action, target, code, rules)

    policies = (
        policy("deny", "REJECT", "", RulePart("PATH", "STARTS_WITH", "/secret")),
        policy("url", "REDIRECT_TO_URL", "http://other.test/%20a?b='c'", RulePart("PATH", "EQUAL_TO", "/go"), code=301),
        policy("prefix", "REDIRECT_PREFIX", "https://safe.test", RulePart("HOST_NAME", "EQUAL_TO", "old.test")),
        policy("pool", "REDIRECT_TO_POOL", other.id, RulePart("HEADER", "CONTAINS", "wanted", "X-Way"),
               RulePart("PATH", "REGEX", "^/no", invert=True)),
        policy("type", "REJECT", "", RulePart("FILE_TYPE", "EQUAL_TO", "gif")),
        policy("cookie", "REJECT", "", RulePart("COOKIE", "EQUAL_TO", "it's #1 $HOME", "crumb")),
        policy("end", "REJECT", "", RulePart("FILE_TYPE", "REGEX", "^jpe?g$")),
    )  # fmt: skip
    pool = dataclasses.replace(POOL, members=(member("alpha"),))
    stage.carrier.ensure(part(dataclasses.replace(HTTP, policies=policies), pools=(pool, other)))
    assert stage.get("/secret/x")[0] == 403
    status, _, headers = stage.get("/go")
    assert (status, headers["location"]) == (301, "http://other.test/%20a?b='c'")
    status, _, headers = stage.get("/page", host="OLD.test")
    assert (status, headers["location"]) == (302, "https://safe.test/page")
    assert stage.get("/yes", **{"X-Way": "is wanted"})[1].startswith("beta")
    assert stage.get("/no", **{"X-Way": "is wanted"})[1].startswith("alpha")
    assert stage.get("/a.gif")[0] == 403
    assert stage.get("/a.jpeg")[0] == 403
    assert stage.get("/a.jpegs")[0] == 200
    assert stage.get("/", Cookie="crumb=it's #1 $HOME")[0] == 403
    assert stage.get("/", Cookie="crumb=other")[1].startswith("alpha")


def test_a_member_that_is_ill_gets_nothing_until_it_is_well(stage: Stage) -> None:
    monitor = MonitorPart("HTTP", 1, 1, 1, 1, "GET", "/health", "200,204", 1.1, "x.test")
    pool = dataclasses.replace(POOL, monitor=monitor)
    stage.carrier.ensure(part(HTTP, pools=(pool,)))
    ids = {word: member(word).id for word in MEMBERS}
    wait_until("health", lambda: stage.observed().members == dict.fromkeys(ids.values(), True), 10)
    stage.webs["alpha"].well = False
    try:
        wait_until("health", lambda: not stage.observed().members[ids["alpha"]], 10)
        assert {stage.get()[1].split()[0] for _ in range(4)} == {"beta"}
    finally:
        stage.webs["alpha"].well = True
    wait_until("health", lambda: stage.observed().members[ids["alpha"]], 10)
    closed = dataclasses.replace(POOL, members=(member("alpha"), member("beta", 81)),
                                 monitor=MonitorPart("TCP", 1, 1, 1, 1))  # fmt: skip
    stage.carrier.ensure(part(HTTP, pools=(closed,)))
    wait_until(
        "health", lambda: stage.observed().members == {member("alpha").id: True, member("beta", 81).id: False}, 10
    )


def test_members_are_pinged(stage: Stage) -> None:
    monitor = MonitorPart("PING", 1, 1, 1, 1)
    gone = MemberPart(made.ident("gone"), "10.0.0.99", 80)
    pool = dataclasses.replace(POOL, members=(member("alpha"), gone), monitor=monitor)
    stage.carrier.ensure(part(HTTP, pools=(pool,)))
    wait_until("health", lambda: stage.observed().members == {member("alpha").id: True, gone.id: False}, 15)
    down = dataclasses.replace(pool, members=(member("alpha"), dataclasses.replace(gone, up=False)))
    stage.carrier.ensure(part(HTTP, pools=(down,)))
    assert {stage.get()[1].split()[0] for _ in range(4)} == {"alpha"}


def certificate() -> tuple[bytes, bytes]:
    """(PEM text with key and certificate, the certificate alone)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("x.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(Encoding.PEM)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem, pem


def test_tls_ends_here_and_its_key_is_in_no_file(stage: Stage) -> None:
    pem, alone = certificate()
    listener = ListenerPart(
        made.ident("tls"), "TERMINATED_HTTPS", 443, pool_id=POOL.id, headers=("X-Forwarded-For",), certificates=(pem,),
        versions=("TLSv1.2", "TLSv1.3"), alpn=("http/1.1",), hsts="max-age=60",
    )  # fmt: skip
    stage.carrier.ensure(part(listener, pools=(POOL,)))

    def ask() -> tuple[str, str, str | None]:
        context = ssl.create_default_context(cadata=alone.decode())
        with (
            socket.create_connection((VIP, 443), 5) as plain,
            context.wrap_socket(plain, server_hostname="x.test") as tls,
        ):
            tls.sendall(b"GET /s HTTP/1.0\r\nHost: x.test\r\n\r\n")
            answer = b""
            while piece := tls.recv(4096):
                answer += piece
            return answer.decode(), tls.version() or "", tls.selected_alpn_protocol()

    answer, version, _ = stage.inside(ask)
    assert " 200 " in answer.splitlines()[0]
    assert f"/s {CLIENT}" in answer
    assert "strict-transport-security: max-age=60" in answer
    assert version == "TLSv1.3"
    secret = pem.splitlines()[1]
    for path in stage.runtime.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path


def test_datagrams(stage: Stage) -> None:
    pool = PoolPart(made.ident("udp pool"), "UDP", "ROUND_ROBIN", (member("alpha", 53), member("beta", 53)),
                    MonitorPart("UDP-CONNECT", 1, 1, 1, 1))  # fmt: skip
    listener = ListenerPart(made.ident("udp"), "UDP", 53, pool_id=pool.id)
    stage.carrier.ensure(part(listener, HTTP, pools=(pool, POOL)))
    assert Counter(stage.datagram().split()[0] for _ in range(6)) == {"alpha": 3, "beta": 3}
    assert stage.get()[0] == 200, "both at once"
    assert stage.observed().members == {member(word, 53).id: True for word in MEMBERS}
    heavy = dataclasses.replace(pool, members=(member("alpha", 53, weight=3), member("beta", 53)))
    stage.carrier.ensure(part(listener, HTTP, pools=(heavy, POOL)))
    assert Counter(stage.datagram().split()[0] for _ in range(8)) == {"alpha": 6, "beta": 2}
    stage.echoes["alpha"].close()
    wait_until("health", lambda: not stage.observed().members[member("alpha", 53).id], 10)
    down = dataclasses.replace(pool, members=(member("alpha", 53, up=False), member("beta", 53)))
    stage.carrier.ensure(part(listener, HTTP, pools=(down, POOL)))
    assert {stage.datagram().split()[0] for _ in range(4)} == {"beta"}
    sticky = dataclasses.replace(pool, stick="SOURCE_IP", members=(member("beta", 53, weight=5),))
    stage.carrier.ensure(part(dataclasses.replace(listener, sources=("192.0.2.0/24",)), pools=(sticky,)))
    with pytest.raises(TimeoutError):
        stage.datagram()
    stage.echoes["alpha"] = Echo(stage.place("alpha"), MEMBERS["alpha"], "alpha")


def test_a_change_refuses_nobody_and_cuts_nobody_off(stage: Stage) -> None:
    stage.carrier.ensure(part(HTTP, pools=(POOL,)))
    failures: list[str] = []
    count = 0
    ending = threading.Event()

    def hammer() -> None:
        nonlocal count
        while not ending.is_set():
            try:
                with contextlib.closing(http.client.HTTPConnection(VIP, 80, timeout=5)) as connection:
                    connection.request("GET", "/", headers={"Host": "x"})
                    if connection.getresponse().status != 200:
                        failures.append("status")
                count += 1
            except OSError as error:
                failures.append(repr(error))

    def held() -> bytes:
        with socket.create_connection((VIP, 80), 5) as one:
            one.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n")
            for limit in range(5):
                stage.carrier.ensure(part(dataclasses.replace(HTTP, limit=1000 + limit), pools=(POOL,)))
            one.sendall(b"Connection: close\r\n\r\n")
            answer = b""
            while piece := one.recv(4096):
                answer += piece
            return answer

    thread = threading.Thread(target=lambda: stage.inside(hammer))
    thread.start()
    answer = stage.inside(held)
    ending.set()
    thread.join()
    assert b"/held" in answer
    assert failures == []
    assert count > 5


def test_another_process_adopts_what_runs_and_sees_what_died(stage: Stage) -> None:
    wanted = part(HTTP, pools=(POOL,))
    stage.carrier.ensure(wanted)
    life = stage.observed().life
    other = HaproxyCarrier(stage.host.installation, stage.runtime, SystemClock())
    other.ensure(wanted)
    found = other.observe(LB)
    assert found is not None
    assert found.life == life, "nothing was started anew"
    assert other.listing() == [LB]
    pid = int(life.partition(".")[0])
    os.kill(pid, signal.SIGKILL)
    wait_until("health", lambda: other.observe(LB) is None, 5)
    other.ensure(wanted)
    assert stage.get()[0] == 200
    again = other.observe(LB)
    assert again is not None
    assert again.life != life
    other.remove(LB)
    assert other.observe(LB) is None
    assert other.listing() == []
    other.remove(LB)
    with pytest.raises(OSError):
        stage.get()


def test_what_cannot_be_says_why(stage: Stage) -> None:
    with pytest.raises(Unavailable, match="namespace"):
        stage.carrier.ensure(dataclasses.replace(part(HTTP, pools=(POOL,)), port_id=made.ident("nowhere")))
    broken = ListenerPart(made.ident("broken"), "TERMINATED_HTTPS", 443, certificates=(b"nonsense",))
    with pytest.raises(Unavailable, match="haproxy did not start"):
        stage.carrier.ensure(part(broken))
    stage.carrier.remove(LB)


def test_the_process_has_no_rights(stage: Stage) -> None:
    stage.carrier.ensure(part(HTTP, pools=(POOL,)))
    pid = stage.observed().life.partition(".")[0]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert set(facts["Uid"]) == {"65534"}
    assert facts["CapEff"] == ["0000000000000000"]
