"""A fresh installation of the program for black-box tests: its own command, free ports, its own folder."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import postgres

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "andromede")
START_SECONDS = 120
_WORTH = re.compile(r'"level": "(alert|error|warning)"|^[^{]')  # and what is no line of ours, as a traceback


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """`{"objects.test_mode": True}` as the environment variables that the program reads."""

    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {f"ANDROMEDE_{name.replace('.', '_').upper()}": text(value) for name, value in settings.items()}


@dataclass(slots=True)
class Installation:
    """One data directory and the program running on it. `settings` are dotted names of the configuration;
    `source` is the folder that the program is imported from."""

    data: Path
    api: str = ""
    objects: str = ""
    tls: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    source: Path = ROOT / "src"

    def __post_init__(self) -> None:
        self.api = self.api or f"127.0.0.1:{free_port()}"
        self.objects = self.objects or f"127.0.0.1:{free_port()}"

    @classmethod
    def fresh(cls, tls: bool = False, **settings: object) -> Installation:
        """An installation in a new temporary folder; settings as `objects__test_mode=True`.

        Its database is SQLite, or one of its own on the PostgreSQL that ANDROMEDE_TEST_POSTGRES names.
        """
        dotted = {name.replace("__", "."): value for name, value in settings.items()}
        data = Path(tempfile.mkdtemp(prefix="andromede-test-"))
        if dsn := postgres.address(data.name):
            dotted["storage.database"] = dsn
        return cls(data, tls=tls, settings=dotted)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(self.source), os.environ.get("PYTHONPATH", ""))))
        settings = {"hosting.enabled": "off", **self.settings}  # tests of hosting say so, and take a range of their own
        return {**os.environ, **settings_environment(settings), "PYTHONPATH": path}

    def run(self, *words: str, check: bool = True, seconds: float = START_SECONDS) -> subprocess.CompletedProcess[str]:
        """One command of the program on this data directory; its output is in the error when it fails."""
        command = [*COMMAND, *words, "--data", str(self.data)]
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=seconds
            )
            output.seek(0)
            text = output.read()
        if check and done.returncode != 0:
            alerts = "\n".join(line for line in self.log_text().splitlines() if _WORTH.search(line))
            told = f"{text[-4000:]}\nthe log's alerts:\n{alerts[-4000:]}"
            raise AssertionError(f"andromede {' '.join(words)} ended with {done.returncode}:\n{told}")
        return subprocess.CompletedProcess(command, done.returncode, text, "")

    def start(self) -> Installation:
        tls = ("--tls",) if self.tls else ()
        self.run("up", "--listen", self.api, "--objects", self.objects, "--detach", *tls)
        return self

    def stop(self) -> None:
        self.run("down", check=False)
        if self.settings.get("hosting.enabled") == "on":  # guests and networks outlive the program
            self.run("host", "clear", "--yes", check=False)

    def __enter__(self) -> Installation:
        return self.start()

    def __exit__(self, *failure: object) -> None:
        self.stop()

    @property
    def clouds(self) -> dict[str, Any]:
        """The clouds of `DIR/clouds.yaml` by name."""
        read: dict[str, Any] = yaml.safe_load((self.data / "clouds.yaml").read_text(encoding="utf-8"))["clouds"]
        return read

    @property
    def s3(self) -> dict[str, str]:
        """The variables of `DIR/s3.env`."""
        lines = (self.data / "s3.env").read_text(encoding="utf-8").splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in lines if "=" in line and line[0] != "#")
        return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}

    @property
    def ca(self) -> str | None:
        """The CA certificate to verify with, or None over plain HTTP."""
        cloud = self.clouds["andromede"]
        return str(cloud["cacert"]) if cloud.get("cacert") else self.s3.get("AWS_CA_BUNDLE")

    @property
    def objects_url(self) -> str:
        return self.s3["AWS_ENDPOINT_URL"].rstrip("/")

    @property
    def identity_url(self) -> str:
        """The identity endpoint without a version."""
        return str(self.clouds["andromede"]["auth"]["auth_url"]).rstrip("/").removesuffix("/v3")

    def log_text(self) -> str:
        """All log files of the data directory, newest last; for reports of failures."""
        files = sorted(self.data.rglob("*.log"), key=lambda path: path.stat().st_mtime)
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def wait_until(what: str, check: Any, seconds: float = 90.0, every: float = 0.1) -> Any:
    """Call `check` until it returns something true; AssertionError naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if value := check():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(every)
