"""Witnesses over real HTTP on loopback, and an installation whose logs they cosign."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from andromede.clock import Clock, SystemClock
from andromede.db import Database, Row, migrate, open_database
from andromede.ledger.note import Verifier
from andromede.ledger.witness import Answer
from andromede.log import Log
from andromede.sovereignty import policies, witness_keys, witness_schema
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.policies import Named
from andromede.sovereignty.witness_keys import WitnessKeys
from andromede.sovereignty.witness_server import WitnessServer
from andromede.sovereignty.witnessing import Parts, Witnessing
from andromede.work import Leases
from tests.support.clock import FakeClock, FakeIds
from tests.support.ledger import INSTALL, Bench

PREFIX = INSTALL + "/"


class HttpWitness:
    """A witness with a memory of its own. `answer` may be replaced to lie; `calls` counts what came."""

    def __init__(self, folder: Path, name: str, keys: Sequence[Verifier], clock: Clock | None = None) -> None:
        self.db = open_database(f"sqlite:///{folder}/{name}.db")
        migrate(self.db, witness_schema.MIGRATIONS)
        with self.db.write() as tx:
            store.put_trust(tx, PREFIX, "\n".join(map(str, keys)), "", 0)
        ids = FakeIds()
        ids._count = sum(name.encode()) * 1000
        self.keys: WitnessKeys = witness_keys.ensure(folder / f"{name}.json", name, self.db, ids, 1)
        self.server = WitnessServer(self.db, self.keys, clock or SystemClock())
        self.calls: list[str] = []
        self.shows = True
        self.held = threading.Event()
        self.held.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = False  # joined by server_close: none may use the memory after its end
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/w"

    @property
    def named(self) -> Named:
        return Named(self.keys.name, self.keys.signers[0].verifier, self.url)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        if method == "POST" and path == "/w/add-checkpoint":
            return self.server.add_checkpoint(body, "127.0.0.1")
        if method == "GET" and path.endswith("/checkpoint") and self.shows:
            return self.server.latest(path.split("/")[-2], "127.0.0.1")
        return Answer(404, "nothing here\n")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                witness.calls.append(f"{self.command} {self.path}")
                witness.held.wait(20)
                answer = witness.answer(self.command, self.path, body)
                with suppress(OSError):
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.content_type)
                    self.send_header("Content-Length", str(len(answer.body.encode())))
                    self.end_headers()
                    self.wfile.write(answer.body.encode())

            do_GET = do_POST = _do

            def log_message(self, *words: Any) -> None:
                pass

        return Handler

    def close(self) -> None:
        self.held.set()
        self._http.shutdown()
        self._http.server_close()
        self.db.close()


class Operator:
    """An installation with a sequencer and a witnessing, both run by hand."""

    def __init__(self, db: Database, folder: Path, clock: FakeClock, **settings: Any) -> None:
        self.bench = Bench.open(db, clock, folder)
        self.db, self.clock = db, clock
        self.log = io.StringIO()
        self.settings = settings
        self.start()

    def start(self) -> None:
        """As after a restart of the program."""
        leases = Leases(self.db, "here:1", self.clock)
        log = Log(self.log, clock=self.clock)
        parts = Parts(self.db, self.bench.logs, leases, self.clock, FakeIds(), log, **self.settings)
        self.witnessing = Witnessing(parts)
        self.sequencer = self.bench.sequencer(self.witnessing.may_sign)

    def trust(self, *witnesses: HttpWitness, tenant: str = policies.DEFAULT, quorum: str = "majority") -> None:
        with self.db.write() as tx:
            policies.store(tx, tenant, policies.simple([one.named for one in witnesses], quorum), 1)
            if tenant == policies.DEFAULT:
                for one in witnesses:
                    row = (one.url, one.keys.name, "\n".join(one.keys.vkeys), "", "a friend", 1)
                    store.put_peer(tx, row)

    def turn(self, seconds: float = 20.0) -> None:
        """Sign what is new and let the witnesses see it."""
        self.sequencer.turn()
        self.clock.advance(seconds)
        self.witnessing.turn()
        self.witnessing.settle(15)

    def alerts(self, name: str) -> list[dict[str, Any]]:
        lines = (self.log.getvalue() + self.bench.alerts.getvalue()).splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == name]

    def signed_by(self, origin: str, witnesses: Sequence[HttpWitness]) -> list[str]:
        """Names of the witnesses whose cosignature stands on the newest checkpoint."""
        note = self.bench.logs.checkpoint(origin) or ""
        return [one.keys.name for one in witnesses if f"— {one.keys.name} " in note]


TABLES = ("audit_event", "ledger_log", "ledger_tile", "ledger_checkpoint", "witness_view", "witness_halt", "sequence")


def snapshot(db: Database) -> dict[str, list[Row]]:
    """The rows of everything that a backup of the ledger holds."""
    return {name: db.all(f"SELECT * FROM {name}") for name in TABLES}


def restore(db: Database, saved: dict[str, list[Row]]) -> None:
    """Put yesterday's rows in the place of today's."""
    with db.write() as tx:
        for name, rows in saved.items():
            tx.run(f"DELETE FROM {name}")
            if rows:
                tx.many(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
