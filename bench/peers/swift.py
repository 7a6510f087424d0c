"""OpenStack Swift as a peer."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from bench.packages import PYPI, environment
from bench.peers.base import PLAIN, USER, WORKERS, Started, make_bucket, wait_port
from tests.support.installation import free_port

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
pipeline = catch_errors gatekeeper cache tempauth slo keymaster encryption proxy-server
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
[filter:slo]
use = egg:swift#slo
[filter:keymaster]
use = egg:swift#keymaster
encryption_root_secret = {secret}
[filter:encryption]
use = egg:swift#encryption
"""


class Swift(Started):
    """OpenStack Swift on one node: one replica, its own login (tempauth), encryption at rest."""

    name = "swift"
    dialect = "swift"
    version = f"OpenStack Swift {PYPI['swift'][0].partition('==')[2]}"
    durability = "file and folder flushed before the answer; encrypted; one copy, two object and two proxy workers"

    def start(self, scratch: Path) -> None:
        binaries, base = environment("swift") / "bin", self.folder(scratch)
        (base / "node" / "d1").mkdir(parents=True)
        (base / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = x\nswift_hash_path_prefix = y\n"
            "[storage-policy:0]\nname = only\ndefault = yes\n"
        )
        self.env = {"PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
        memcache = self.memcached()
        for kind in ("account", "container", "object"):
            self._storage(kind, binaries)
        secret = base64.b64encode(bytes(range(32))).decode()
        conf = SERVER.format(port=self.port, workers=WORKERS, user=USER, base=base)
        (base / "proxy.conf").write_text(conf + PROXY.format(memcache=memcache, secret=secret))
        wait_port(self.port, self.child(str(binaries / "swift-proxy-server"), str(base / "proxy.conf"), env=self.env))
        self._log_in()

    def _storage(self, kind: str, binaries: Path) -> None:
        """One of the three storage servers with its ring."""
        port, base = free_port(), self.base
        workers = WORKERS if kind == "object" else 1
        conf = SERVER.format(port=port, workers=workers, user=USER, base=base)
        application = f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
        (base / f"{kind}.conf").write_text(conf + application)
        ring = [str(binaries / "swift-ring-builder"), f"{kind}.builder"]
        for words in (["create", "8", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
            subprocess.run([*ring, *words], cwd=base, env={**os.environ, **self.env}, capture_output=True, check=False)
        wait_port(port, self.child(str(binaries / f"swift-{kind}-server"), str(base / f"{kind}.conf"), env=self.env))

    def _log_in(self) -> None:
        login = {"X-Storage-User": "bench:bench", "X-Storage-Pass": "bench"}
        url, end = f"http://{self.address}/auth/v1.0", time.monotonic() + 60
        while (answer := httpx.get(url, headers=login, **PLAIN)).status_code != 200:
            if time.monotonic() > end:
                raise TimeoutError(f"{url} answers {answer.status_code}")
            time.sleep(0.3)
        self.token = answer.headers["x-auth-token"]
        self.prefix = httpx.URL(answer.headers["x-storage-url"]).path + "/bench"
        make_bucket(self)

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return {"host": self.address, "x-auth-token": self.token, **more}
