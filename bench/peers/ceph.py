"""Ceph RGW as a peer: a whole cluster on one machine."""

from __future__ import annotations

import base64
import os
import subprocess
import time
import uuid
from pathlib import Path

from bench.packages import program
from bench.peers.base import ACCESS, SECRET, Signed, make_bucket, wait_port
from tests.support.installation import free_port

BLOCK_GIB = 40
CONF = """[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon}]
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
mon warn on pool no redundancy = false
run dir = {base}/run
admin socket = {base}/run/$name.asok
log file = {base}/$name.log
crash dir = {base}/run
debug ms = 0
debug rgw = 0
debug osd = 0
debug bluestore = 0
debug rocksdb = 0
[mon]
mon data = {base}/mon
[osd]
osd data = {base}/osd
osd objectstore = bluestore
bluestore block size = {block}
osd memory target = 2147483648
osd class load list = *
osd class default list = *
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw data = {base}/rgw
rgw enable usage log = false
rgw enable ops log = false
rgw crypt require ssl = false
rgw crypt default encryption key = {key}
"""


class Rgw(Signed):
    """A monitor, one OSD with BlueStore on a file, and a RADOS gateway that encrypts (SSE with its default key).

    No manager daemon: nothing on the path of an object needs one, and its processor time would count against the peer.
    """

    name = "rgw"
    durability = "flushed by BlueStore before the answer; encrypted; one copy, one OSD"

    def start(self, scratch: Path) -> None:
        for name in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool"):
            program(name)
        base, mon, fsid = self.folder(scratch), free_port(), str(uuid.uuid4())
        for folder in ("mon", "osd", "rgw", "run"):
            (base / folder).mkdir()
        key = base64.b64encode(bytes(range(32))).decode()
        values = {"fsid": fsid, "mon": mon, "base": base, "block": BLOCK_GIB << 30, "port": self.port, "key": key}
        self.conf = base / "ceph.conf"
        self.conf.write_text(CONF.format(**values))
        self.version = " ".join(self._tool("ceph", "--version").split()[:3])
        self._tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{mon}]", str(base / "map"))
        self._tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(base / "map"))
        wait_port(mon, self._daemon("ceph-mon", "-i", "a"))
        self._until("quorum", "ceph", "mon", "stat")
        osd = str(uuid.uuid4())
        self._tool("ceph", "osd", "new", osd)
        self._tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("ceph-osd", "-i", "0")
        self._until("1 up", "ceph", "osd", "stat")
        wait_port(self.port, self._daemon("radosgw", "-n", "client.rgw.a"), 120)
        words = ("user", "create", "--uid=bench", "--display-name=bench", f"--access-key={ACCESS}")
        self._tool("radosgw-admin", *words, f"--secret-key={SECRET}")
        make_bucket(self)

    def _daemon(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        return self.child(program(name), "-c", str(self.conf), *words, "-f", env=self._environment)

    @property
    def _environment(self) -> dict[str, str]:
        return {"CEPH_CONF": str(self.conf)}

    def _tool(self, name: str, *words: str) -> str:
        """One command's output; RuntimeError with what it said when it fails."""
        env = {**os.environ, **self._environment}
        done = subprocess.run([program(name), *words], env=env, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{name} {' '.join(words[:3])}: {(done.stderr or done.stdout).strip()[-400:]}")
        return done.stdout

    def _until(self, wanted: str, *command: str) -> None:
        """Ask again, errors of a monitor that is not ready included, for at most a minute and a half."""
        end, said = time.monotonic() + 90, ""
        while wanted not in said:
            if time.monotonic() > end:
                raise TimeoutError(f"{' '.join(command)} says {said.strip()!r}")
            time.sleep(0.3)
            try:
                said = self._tool(*command)
            except (RuntimeError, subprocess.TimeoutExpired) as failure:
                said = str(failure)
