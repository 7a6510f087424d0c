"""Systems under measurement: each starts fresh in a scratch folder, names its processes and ends them by pid."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from bench.packages import program
from tests.support.installation import free_port
from tests.support.processes import with_children
from tests.support.sigv4 import Signer

WORKERS = 2
ACCESS, SECRET, REGION = "BENCHBENCHBENCHBENCH", "bench/secret/bench/secret/bench/secret/12", "us-east-1"
USER = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
"""Whom peers run as that want to be told."""
PLAIN: dict[str, Any] = {"trust_env": False, "timeout": 60}  # of httpx


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


def make_bucket(peer: Peer) -> None:
    """AssertionError when the store refuses it."""
    answer = httpx.put(f"http://{peer.address}{peer.prefix}", headers=dict(peer.headers("PUT", peer.prefix)), **PLAIN)
    assert answer.status_code in (200, 201, 202, 204), f"{peer.name}: {answer.status_code} {answer.text[:300]}"


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

    def memcached(self) -> int:
        """A memcached of the peer's own; its port."""
        port = free_port()
        self.child(program("memcached"), "-u", USER, "-l", "127.0.0.1", "-p", str(port), "-m", "64")
        return port

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
