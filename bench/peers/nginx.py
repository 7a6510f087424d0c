"""nginx: the ceiling."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.packages import Missing
from bench.peers.base import WORKERS, Started, wait_port


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
