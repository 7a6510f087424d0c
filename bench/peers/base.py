"""Systems under measurement: each starts fresh in a scratch folder, names its processes and ends them by pid."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from bench.packages import Missing, environment
from tests.support.installation import ROOT, Installation, free_port
from tests.support.processes import processes, with_children
from tests.support.sigv4 import Signer

WORKERS = 2
ACCESS, SECRET, REGION = "BENCHBENCHBENCHBENCH", "bench/secret/bench/secret/bench/secret/12", "us-east-1"


def wait_port(port: int, child: subprocess.Popen[bytes] | None = None, seconds: float = 60.0) -> None:
    """Return when something listens on the port; TimeoutError otherwise, or when the child has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (child is None or child.poll() is None):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


def processor_seconds(pids: set[int]) -> float:
    """User and system time so far of these processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Login:
    """A user of an identity API that speaks Keystone's v3: `path` is its prefix, `/v3` included."""

    address: str
    path: str
    user: str
    password: str
    project: str

    @property
    def password_body(self) -> bytes:
        """A login with the password, scoped to the project."""
        user = {"name": self.user, "password": self.password, "domain": {"name": "Default"}}
        return self._body({"methods": ["password"], "password": {"user": user}})

    def token_body(self, token: str) -> bytes:
        """A login with a token, scoped to the project: a new token without a password hash."""
        return self._body({"methods": ["token"], "token": {"id": token}})

    def _body(self, identity: dict[str, Any]) -> bytes:
        scope = {"project": {"name": self.project, "domain": {"name": "Default"}}}
        return json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()

    def token(self, body: bytes = b"") -> str:
        """A fresh token; AssertionError with the answer when it is refused."""
        url, headers = f"http://{self.address}{self.path}/auth/tokens", {"content-type": "application/json"}
        answer = httpx.post(url, content=body or self.password_body, headers=headers, **PLAIN)
        assert answer.status_code == 201, f"{url}: {answer.status_code} {answer.text[:300]}"
        return str(answer.headers["x-subject-token"])


class Peer(Protocol):
    """A store with one bucket. `prefix` is its path; `headers` signs or names a token for a method and a target."""

    name: str
    dialect: str  # s3, swift, dav or identity
    durability: str  # what is on disk when a PUT is answered
    version: str

    def start(self, scratch: Path) -> None: ...
    def stop(self) -> None: ...
    def pids(self) -> set[int]: ...
    @property
    def address(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def unhashed(self) -> str:
        """The path of the bucket whose ETags need no MD5, where there is such a thing; else that of the bucket."""

    @property
    def login(self) -> Login | None: ...
    def headers(self, method: str, target: str, more: Mapping[str, str] = ...) -> Mapping[str, str]: ...


class Andromede:
    """This program, through its S3 door, with everything on."""

    name = "andromede"
    dialect = "s3"
    prefix = "/bench"
    durability = "flushed (data, row, audit event) before the answer; encrypted; one copy"
    unhashed = "/bench-opaque"

    def __init__(self, source: Path = ROOT / "src", settings: Mapping[str, Any] | None = None) -> None:
        self.cloud: Installation | None = None
        self.source = source
        self.settings = {"server.object_workers": WORKERS, **(settings or {})}
        self.version = f"Andromède of {source.parent.name}" if source != ROOT / "src" else "Andromède, this commit"

    def start(self, scratch: Path) -> None:
        self.cloud = Installation(scratch / "andromede", settings=self.settings, source=self.source)
        self.cloud.start()
        self.signer = Signer.of(self.cloud.s3)
        make_bucket(self)
        answer = httpx.put(
            f"http://{self.address}{self.unhashed}",
            headers={**self.headers("PUT", self.unhashed), "x-andromede-etag": "opaque"},
            **PLAIN,
        )
        assert answer.status_code == 200, answer.text[:300]

    def stop(self) -> None:
        if self.cloud is not None:
            self.cloud.stop()

    def pids(self) -> set[int]:
        assert self.cloud is not None
        return with_children(list(processes(self.cloud.data)))

    @property
    def address(self) -> str:
        assert self.cloud is not None
        return self.cloud.objects

    @property
    def login(self) -> Login:
        assert self.cloud is not None
        auth, url = self.cloud.clouds["andromede"]["auth"], urlsplit(self.cloud.identity_url)
        return Login(url.netloc, f"{url.path}/v3", auth["username"], auth["password"], auth["project_name"])

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return self.signer.headers(method, target, {"host": self.address, **more})


def make_bucket(peer: Peer) -> None:
    """AssertionError when the store refuses it."""
    answer = httpx.put(f"http://{peer.address}{peer.prefix}", headers=dict(peer.headers("PUT", peer.prefix)), **PLAIN)
    assert answer.status_code in (200, 201, 202, 204), f"{peer.name}: {answer.status_code} {answer.text[:300]}"


PLAIN: dict[str, Any] = {"trust_env": False, "timeout": 60}


class Started:
    """A peer made of child processes; what they say goes to a file of the scratch folder."""

    name = version = ""
    prefix = "/bench"

    @property
    def unhashed(self) -> str:
        return self.prefix

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.base = Path()

    def folder(self, scratch: Path) -> Path:
        """The peer's own folder, made."""
        self.base = scratch / self.name
        self.base.mkdir(parents=True)
        return self.base

    def child(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        full = {**os.environ, **(env or {})}
        name = f"{len(self.children)}-{Path(command[0]).name}.out"
        with (self.base / name).open("wb") as out:
            started = subprocess.Popen(command, env=full, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.children.append(started)
        return started

    def stop(self) -> None:
        family = self.pids()
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for pid in family - {child.pid for child in self.children}:
            with contextlib.suppress(OSError):  # a grandchild that outlived its parent
                os.kill(pid, 9)
        self.children.clear()

    def pids(self) -> set[int]:
        return with_children([child.pid for child in self.children])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def login(self) -> Login | None:
        return None


class Signed(Started):
    """A peer that speaks S3 and knows one credential."""

    dialect = "s3"
    signer = Signer(ACCESS, SECRET, REGION)

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return self.signer.headers(method, target, {"host": self.address, **more})


class Nginx(Started):
    """nginx as a WebDAV server: no authentication, no hash, no encryption, no fsync. A ceiling, not a rival."""

    name = "nginx"
    dialect = "dav"
    durability = "page cache only, never flushed; not encrypted"

    def start(self, scratch: Path) -> None:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise Missing("nginx is not installed (Debian: nginx-light)")
        told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
        self.version = told.strip().rpartition(": ")[2]
        base = self.folder(scratch)
        for folder in ("www/bench", "temporary"):
            (base / folder).mkdir(parents=True)
        user = "user root;" if os.geteuid() == 0 else ""
        (base / "nginx.conf").write_text(
            f"""{user} daemon off; worker_processes {WORKERS}; pid {base}/pid; error_log {base}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000; client_max_body_size 0;
  client_body_temp_path {base}/temporary; open_file_cache max=10000;
  server {{ listen 127.0.0.1:{self.port}; root {base}/www; location / {{ dav_methods PUT DELETE; }} }}
}}
"""
        )
        wait_port(self.port, self.child(program, "-c", str(base / "nginx.conf"), "-e", str(base / "error.log")))

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return {"host": self.address, **more}


class Rclone(Signed):
    """`rclone serve s3` on a folder: signatures are checked; no encryption, no fsync."""

    name = "rclone"
    durability = "page cache only, never flushed; not encrypted"

    def start(self, scratch: Path) -> None:
        program = environment("rclone") / "bin" / "rclone"
        told = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
        self.version = told.splitlines()[0]
        base = self.folder(scratch)
        (base / "data").mkdir()
        words = ["serve", "s3", "--addr", self.address, "--auth-key", f"{ACCESS},{SECRET}", "--vfs-cache-mode", "off"]
        child = self.child(str(program), *words, "--config", str(base / "none.conf"), str(base / "data"))
        wait_port(self.port, child)
        make_bucket(self)
