"""A database that goes away: PostgreSQL restarted and killed under load, SQLite held by somebody else; and a blob
store that dies, hangs and comes back."""

from __future__ import annotations

import copy
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.campaign.faults_calls import settled
from tests.campaign.faults_report import Report
from tests.campaign.faults_site import CHANGES, LARGE, READS, SMALL, Connection, Faulty, Site, alerts, content, running
from tests.support.installation import Installation, wait_until


@contextmanager
def stream(site: Site, report: Report, fault: str, writers: int = 4) -> Iterator[None]:
    """Writers at work while the block runs; afterwards every acknowledged object is there, whole."""
    stopping, lock = threading.Event(), threading.Lock()
    kept: list[tuple[str, int]] = []
    slowest = [0.0]

    def write(number: int) -> None:
        own = copy.copy(site)
        own.objects = Connection(site.host)
        n = 0
        while not stopping.is_set():
            name, size = f"stream-{fault.replace(' ', '-')}-{number}-{n}", (SMALL, 200_000)[n % 2]
            begin = time.monotonic()
            answer = own.s3("PUT", f"/box/{name}", content(name, size))
            with lock:
                slowest[0] = max(slowest[0], time.monotonic() - begin)
                report.check(fault, "S3 PUT, streams", answer.word, *answer.faults())
                if answer.ok:
                    kept.append((name, size))
            n += 1
            if not answer.ok:
                stopping.wait(0.05)
        own.objects.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    wait_until("an answer", lambda: site.s3("GET", "/box/little").ok, 60)
    lost = [name for name, size in kept if site.s3("GET", f"/box/{name}").body != content(name, size)]
    report.check(fault, "acknowledged objects", f"{len(kept)} kept", *(f"{name} is not there" for name in lost[:3]))
    bound = 40.0
    report.check(fault, "longest answer", f"{slowest[0]:.1f} s", "" if slowest[0] < bound else "too long")


def held(report: Report, seconds: float = 25.0) -> None:
    """Somebody else holds the write lock of the SQLite file for longer than the program waits."""
    with running(with_shim=False) as site:
        fault = f"SQLite locked for {seconds:g} s"
        with closing(sqlite3.connect(site.installation.data / "andromede.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begin = time.monotonic()
            for name in ("S3 PUT small", "Keystone project"):
                operation = next(o for o in CHANGES if o.name == name)
                answer = operation.run(site, f"locked-{name.lower().replace(' ', '-')}")
                report.check(fault, name, answer.word, *answer.faults(), "done under a lock" if answer.ok else "")
            while time.monotonic() - begin < seconds:
                time.sleep(0.1)
            other.execute("ROLLBACK")
        for operation in (CHANGES[0], *READS[:3]):
            answer = operation.run(site, "locked-after")
            report.check(fault, f"{operation.name} afterwards", answer.word, "" if answer.ok else answer.text[:200])
        found = {a["event"] for a in alerts(site.installation)}
        report.check(fault, "alert", " ".join(sorted(found)), "" if found else "no alert")
        settled(site, report, fault)


class Server:
    """A PostgreSQL of our own on a socket in a temporary folder, that can be killed and started again."""

    def __init__(self, binaries: Path) -> None:
        self._bin = binaries
        self.base = Path(tempfile.mkdtemp(prefix="faults-pg-"))
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self.base, "postgres", "postgres")
        self._run("initdb", "-D", str(self.base / "data"), "-U", "andromede", "-A", "trust", "-E", "UTF8", "--locale=C")
        self.start()
        subprocess.run(
            [*self._as, str(binaries / "createdb"), "-h", str(self.base), "-U", "andromede", "faults"],
            check=True,
            cwd="/",
        )

    @property
    def dsn(self) -> str:
        return f"postgresql://andromede@/faults?host={self.base}"

    def _run(self, program: str, *words: str) -> None:
        line = [*self._as, str(self._bin / program), *words]
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stdout[-500:]

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.base}' -c max_connections=100"
        self._run("pg_ctl", "-D", str(self.base / "data"), "-w", "-l", str(self.base / "log"), "-o", options, "start")

    def stop(self, mode: str) -> None:
        """`fast`: sessions are cut, data is flushed; `immediate`: as if it were killed."""
        self._run("pg_ctl", "-D", str(self.base / "data"), "-w", "-m", mode, "stop")

    def close(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.base, ignore_errors=True)


def postgres_binaries() -> Path | None:
    """Where initdb is, None when PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def postgres(report: Report, down: float = 6.0) -> None:
    """PostgreSQL is restarted and killed mid-transaction; requests get 503, roles come back by themselves."""
    binaries = postgres_binaries()
    if binaries is None:
        report.skipped.append("PostgreSQL: not installed")
        return
    server = Server(binaries)
    try:
        with running({"storage.database": server.dsn}, with_shim=False) as site:
            for mode, word in (("fast", "restarted"), ("immediate", "killed")):
                fault = f"PostgreSQL {word}"
                since = site.installation.log_size
                with stream(site, report, fault):
                    time.sleep(1.0)
                    server.stop(mode)
                    begin = time.monotonic()
                    for operation in (*CHANGES, *READS):
                        if operation.before is None and time.monotonic() - begin < down * 6:
                            answer = operation.run(site, f"away-{word}-{operation.name}".lower().replace(" ", "-"))
                            wrong = "" if not answer.ok else "acknowledged without a database"
                            report.check("PostgreSQL away", operation.name, answer.word, *answer.faults(), wrong)
                    server.start()
                    begin = time.monotonic()
                    wait_until("a write", lambda: site.s3("PUT", "/box/back", b"x").ok, 60)
                    report.check(fault, "back after", f"{time.monotonic() - begin:.0f} s")
                    time.sleep(1.0)
                found = {a["event"] for a in alerts(site.installation, since)}
                report.check(fault, "alert", " ".join(sorted(found)), "" if found else "no alert")
                settled(site, report, fault)
    finally:
        server.close()


class Silent:
    """Accepts connections and never answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)

    def close(self) -> None:
        self._socket.close()


def blob_store(report: Report) -> None:
    """The blobs lie in another installation's S3 door, which dies, hangs and comes back."""
    back = Faulty(Path(tempfile.mkdtemp(prefix="faults-back-")))
    folder = Path(tempfile.mkdtemp(prefix="faults-front-"))
    try:
        with back:
            store = Site(back)
            assert store.s3("PUT", "/blobs").ok
            keys = folder.with_suffix(".keys")
            keys.write_text(f"{back.s3['AWS_ACCESS_KEY_ID']}\n{back.s3['AWS_SECRET_ACCESS_KEY']}\n")
            settings = {
                "storage.engine": "s3", "storage.s3_endpoint": f"http://{back.objects}", "storage.s3_bucket": "blobs",
                "storage.s3_region": back.s3["AWS_REGION"], "storage.s3_credentials": str(keys),
            }  # fmt: skip
            with running(settings, data=folder, with_shim=False) as site:
                _dies(report, site, back)
            keys.unlink()
    finally:
        back.stop()
        shutil.rmtree(back.data, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _dies(report: Report, site: Site, back: Installation) -> None:
    for fault in ("blob store dead", "blob store hanging"):
        since = site.installation.log_size
        back.stop()
        silent = Silent(int(back.objects.rpartition(":")[2])) if "hanging" in fault else None
        for operation in (CHANGES[0], CHANGES[1], CHANGES[10], *READS):
            begin = time.monotonic()
            answer = operation.run(site, f"{fault}-{operation.name}".lower().replace(" ", "-"))
            needs = "list" not in operation.name and "HEAD" not in operation.name and "Keystone" not in operation.name
            wrong = "bytes without a blob store" if answer.ok and needs else ""
            wrong = wrong or ("" if answer.ok or needs else f"needs no blob, and {answer.word}")
            report.check(fault, operation.name, answer.word, *answer.faults(), wrong)
            seconds = time.monotonic() - begin
            report.check(
                fault, "answers within 45 s", "yes" if seconds < 45 else "no", "" if seconds < 45 else operation.name
            )
        if silent is not None:
            silent.close()
        back.start()
        wait_until("a body", lambda: site.s3("PUT", "/box/back", content("back", LARGE)).ok, 90)
        found = {a["event"] for a in alerts(site.installation, since)}
        report.check(fault, "alert", " ".join(sorted(found)), "" if found else "no alert")
        for operation in (CHANGES[0], CHANGES[1], *READS):
            answer = operation.run(site, f"{fault}-back-{operation.name}".lower().replace(" ", "-"))
            report.check(f"{fault}, back", operation.name, answer.word, "" if answer.ok else answer.text[:200])
        settled(site, report, fault)


def directory_away(report: Report) -> None:
    """The directory of the blobs is not there for a while (its disk is not mounted)."""
    with running(with_shim=False) as site:
        fault = "blob directory away"
        blobs = site.installation.data / "blobs"
        blobs.rename(blobs.with_name("away"))
        for operation in (CHANGES[0], CHANGES[1], *READS):
            answer = operation.run(site, f"away-{operation.name}".lower().replace(" ", "-"))
            report.check(fault, operation.name, answer.word, *answer.faults())
        blobs.with_name("away").rename(blobs)
        for operation in (CHANGES[0], CHANGES[1], *READS):
            answer = operation.run(site, f"back-{operation.name}".lower().replace(" ", "-"))
            report.check(f"{fault}, back", operation.name, answer.word, "" if answer.ok else answer.text[:200])
        settled(site, report, fault)
