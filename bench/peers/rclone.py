"""rclone, which serves a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.packages import environment
from bench.peers.base import ACCESS, SECRET, Signed, make_bucket, wait_port


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
