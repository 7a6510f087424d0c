"""OpenStack Keystone as a peer for tokens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.packages import PYPI, environment
from bench.peers.base import WORKERS, Login, Started, wait_port
from tests.support.installation import free_port

CONF = """[DEFAULT]
log_file = {base}/keystone.log
use_stderr = false
[database]
connection = sqlite:///{base}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {base}/fernet
[credential]
key_repository = {base}/credential
[fernet_receipts]
key_repository = {base}/receipts
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = 127.0.0.1:{memcache}
"""
PASSWORD = "bench-password"


class Keystone(Started):
    """Keystone under uWSGI with two processes: Fernet tokens, SQLite, memcached for its caches, bcrypt by default."""

    name = "keystone"
    dialect = "identity"
    version = f"OpenStack Keystone {PYPI['keystone'][0].partition('==')[2]}"
    durability = "Fernet tokens are not stored; SQLite; caches in memcached; passwords bcrypt (its default cost)"

    def start(self, scratch: Path) -> None:
        binaries, base = environment("keystone") / "bin", self.folder(scratch)
        for folder in ("fernet", "credential", "receipts"):
            (base / folder).mkdir(mode=0o700)
        conf = base / "keystone.conf"
        conf.write_text(CONF.format(base=base, memcache=self.memcached()))
        manage = [str(binaries / "keystone-manage"), "--config-file", str(conf)]
        owner = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
        url = f"http://{self.address}/v3/"
        bootstrap = ["bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "bench"]
        for words in (
            ["db_sync"],
            ["fernet_setup", *owner],
            ["credential_setup", *owner],
            [*bootstrap, "--bootstrap-public-url", url, "--bootstrap-internal-url", url],
        ):
            done = subprocess.run([*manage, *words], capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise RuntimeError(f"keystone-manage {words[0]}: {(done.stderr or done.stdout).strip()[-400:]}")
        serve = ["--http", self.address, "--http-keepalive=60", "--module", "keystone.wsgi.api:application"]
        serve += ["--master", "--need-app", "--processes", str(WORKERS), "--disable-logging", "--die-on-term"]
        serve += ["--socket", f"127.0.0.1:{free_port()}"]
        child = self.child(str(binaries / "uwsgi"), *serve, env={"OS_KEYSTONE_CONFIG_FILES": str(conf)})
        wait_port(self.port, child)
        self.login.token()

    @property
    def login(self) -> Login:
        return Login(self.address, "/v3", "admin", PASSWORD, "admin")

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return {"host": self.address, **more}
