"""Systems under measurement: each starts fresh in a scratch folder and names its processes."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import httpx

from tests.support.installation import ROOT, Installation, free_port
from tests.support.processes import processes, with_children
from tests.support.sigv4 import Signer

WORKERS = 2


def wait_port(port: int, seconds: float = 60.0) -> None:
    """Return when something listens on the port; TimeoutError otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


class Peer(Protocol):
    """A store with one bucket. `prefix` is its path; `headers` signs or names a token."""

    name: str

    def start(self, scratch: Path) -> None: ...
    def stop(self) -> None: ...
    def pids(self) -> set[int]: ...
    @property
    def address(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    def headers(self, method: str, target: str) -> Mapping[str, str]: ...


class Andromede:
    """This program, through its S3 door, with everything on."""

    name = "andromede"
    prefix = "/bench"

    def __init__(self, source: Path = ROOT / "src") -> None:
        self.cloud: Installation | None = None
        self.source = source

    def start(self, scratch: Path) -> None:
        settings = {"server.object_workers": WORKERS}
        self.cloud = Installation(scratch / "andromede", settings=settings, source=self.source)
        self.cloud.start()
        self.signer = Signer.of(self.cloud.s3)
        url = self.cloud.objects_url + self.prefix
        answer = httpx.put(url, headers=dict(self.headers("PUT", self.prefix)), trust_env=False)
        assert answer.status_code == 200, answer.text

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

    def headers(self, method: str, target: str) -> Mapping[str, str]:
        return self.signer.headers(method, target, {"host": self.address})


class Started:
    """A peer made of child processes."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.port = free_port()

    def child(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        quiet = subprocess.DEVNULL
        full = {**os.environ, **(env or {})}
        self.children.append(subprocess.Popen(command, env=full, stdin=quiet, stdout=quiet, stderr=quiet))

    def stop(self) -> None:
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()

    def pids(self) -> set[int]:
        return with_children([child.pid for child in self.children])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class Nginx(Started):
    """nginx as a WebDAV server: no authentication, no hash, no encryption, no fsync. A ceiling, not a rival."""

    name = "nginx"
    prefix = "/bench"

    def start(self, scratch: Path) -> None:
        base = scratch / "nginx"
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
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise FileNotFoundError("nginx is not installed (Debian: nginx-light)")
        self.child(program, "-c", str(base / "nginx.conf"), "-e", str(base / "error.log"))
        wait_port(self.port)

    def headers(self, method: str, target: str) -> Mapping[str, str]:
        return {"host": self.address}


SERVER = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = {workers}
user = {user}
swift_dir = {base}
devices = {base}/node
mount_check = false
log_level = ERROR
log_udp_host = 127.0.0.1
log_udp_port = 9
"""
PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper cache tempauth keymaster encryption proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcache}
[filter:tempauth]
use = egg:swift#tempauth
user_bench_bench = bench .admin
[filter:keymaster]
use = egg:swift#keymaster
encryption_root_secret = {secret}
[filter:encryption]
use = egg:swift#encryption
"""


class Swift(Started):
    """OpenStack Swift on one node: one replica, its own login, encryption at rest. `folder` has it installed."""

    name = "swift"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.token = self.prefix = ""

    def start(self, scratch: Path) -> None:
        base = scratch / "swift"
        (base / "node" / "d1").mkdir(parents=True)
        (base / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = x\nswift_hash_path_prefix = y\n"
            "[storage-policy:0]\nname = only\ndefault = yes\n"
        )
        binaries = self.folder / "bin"
        env = {"PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
        memcache, user = free_port(), "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        self.child("memcached", "-u", user, "-l", "127.0.0.1", "-p", str(memcache), "-m", "64")
        for kind in ("account", "container", "object"):
            port = free_port()
            workers = WORKERS if kind == "object" else 1
            conf = SERVER.format(port=port, workers=workers, user=user, base=base)
            application = f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
            (base / f"{kind}.conf").write_text(conf + application)
            ring = [str(binaries / "swift-ring-builder"), f"{kind}.builder"]
            for words in (["create", "8", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
                subprocess.run([*ring, *words], cwd=base, env={**os.environ, **env}, capture_output=True, check=False)
            self.child(str(binaries / f"swift-{kind}-server"), str(base / f"{kind}.conf"), env=env)
            wait_port(port)
        secret = base64.b64encode(bytes(range(32))).decode()
        conf = SERVER.format(port=self.port, workers=WORKERS, user=user, base=base)
        (base / "proxy.conf").write_text(conf + PROXY.format(memcache=memcache, secret=secret))
        self.child(str(binaries / "swift-proxy-server"), str(base / "proxy.conf"), env=env)
        wait_port(self.port)
        self._log_in()

    def _log_in(self) -> None:
        login = {"X-Storage-User": "bench:bench", "X-Storage-Pass": "bench"}
        for _ in range(40):
            answer = httpx.get(f"http://{self.address}/auth/v1.0", headers=login, trust_env=False)
            if answer.status_code == 200:
                break
            time.sleep(0.5)
        self.token = answer.headers["x-auth-token"]
        self.prefix = httpx.URL(answer.headers["x-storage-url"]).path + "/bench"
        url = f"http://{self.address}{self.prefix}"
        made = httpx.put(url, headers={"X-Auth-Token": self.token}, trust_env=False)
        assert made.status_code in (201, 202), made.text

    def headers(self, method: str, target: str) -> Mapping[str, str]:
        return {"host": self.address, "x-auth-token": self.token}


def swift_environment(build: Path) -> Path:
    """A virtual environment with OpenStack Swift, made once. SWIFT_VENV names a ready one."""
    if named := os.environ.get("SWIFT_VENV"):
        return Path(named)
    folder = build / "swift-env"
    if not (folder / "bin" / "swift-proxy-server").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [
            str(folder / "bin" / "pip"),
            "--disable-pip-version-check",
            "install",
            "-q",
            "swift==2.38.0",
            "setuptools<81",
        ]
        subprocess.run(pip, check=True)
    return folder
