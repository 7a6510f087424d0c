"""What a token costs: its check from memory and without, the whole request over HTTP, and its issue beside argon2id.

    python -m bench.tokens [--rounds 5] [--count 2000]

In one process, on a fresh SQLite installation: CPU time of `Authenticator.session`, the function that both ports call
for every request, for a token that it knows (with nobody writing, and with a commit of somebody before each check)
and for one that it has never seen (another one of its user's is known, and with a change of rights before each check);
of the whole GET /v3/auth/tokens below the server; and of POST /v3/auth/tokens by password beside one argon2id
verification with the same parameters, in alternating rounds. Then over HTTP, on one kept-alive connection and on more:
CPU of all processes of the installation for each request, with what they do for it in the next two seconds; an issue
beside argon2id as argon2-cffi does it, in the same round. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher, Type

from andromede.app.base import Base
from andromede.audit.answers import ApiLedger
from andromede.config import load
from andromede.identity import routes, service
from andromede.identity.passwords import MEMORY_KIB, PASSES
from andromede.identity.principals_store import raise_epoch
from andromede.identity.tokens import Claims, seal
from andromede.web.api import Api, Parts
from andromede.web.call import HttpRequest
from bench.load import TAIL
from bench.peers.andromede import Andromede
from tests.support.installation import Installation
from tests.support.processes import processor_seconds

FRESH = "HTTP ×{}, a fresh token: CPU"
ISSUE = "HTTP ×{}, issue by password: CPU"
LIMITS = {
    "known": 50.0,
    "known, after a commit": 50.0,
    "never seen": 1000.0,
    "never seen, after a change of rights": 1000.0,
    **{FRESH.format(connections): 1000.0 for connections in (1, 16)},
}
"""Microseconds of CPU that each check may take."""
ISSUES = 24
"""Logins in each round: more from one address would be slowed down."""
ISSUE_LIMIT = 1.2


class Identity:
    """The identity service of a stopped installation in this process, with a login."""

    def __init__(self, cloud: Installation) -> None:
        self.base = Base.open(load(cloud.data), "api-0")
        self.service = service.build(self.base.config, self.base.db, self.base.clock, self.base.ids, self.base.recorder)
        ledger = ApiLedger(self.base.db, self.base.recorder)
        parts = Parts([routes.mount(self.service)], self.service.guard(), self.base.clock, self.base.ids, self.base.log)
        parts.ledger = ledger
        self.api = Api(parts)
        self.login = login(cloud)
        self.password = cloud.clouds["andromede"]["auth"]["password"]
        self.token = self.issue()

    def issue(self) -> str:
        """A token by password, as the API port gives it."""
        # each attempt from another address: the brake on guessing is not what is measured
        peer = f"127.0.{self.base.ids.secret(1)[0]}.{self.base.ids.secret(1)[0]}"
        request = HttpRequest("POST", b"/identity/v3/auth/tokens", b"", JSON, self.login, peer=peer)
        answer = self.api.handle(request)
        assert answer.status == 201, answer.body
        return dict(answer.headers)["X-Subject-Token"]

    def another(self) -> str:
        """A valid token that nobody has seen yet."""
        core = self.service.core
        session = core.authenticator.session(self.token)
        now = core.clock.now_us()
        claims = Claims(
            user_id=session.claims.user_id, methods=("password",), issued_us=now, expires_us=now + 3_600_000_000,
            audit_ids=(core.ids.hex(),), scope=session.claims.scope, scope_id=session.claims.scope_id,
        )  # fmt: skip
        return seal(core.tokens, claims)

    def change(self) -> None:
        """A change of somebody's rights: nothing that is known of anybody counts any more."""
        with self.base.db.write() as tx:
            raise_epoch(tx)

    def commit(self) -> None:
        """A write that is none of identity's business."""
        with self.base.db.write() as tx:
            tx.take("bench")


JSON = {"content-type": "application/json"}


def login(cloud: Installation) -> bytes:
    """The body of a project-scoped login by password."""
    auth = cloud.clouds["andromede"]["auth"]
    domain = {"name": "Default"}
    user = {"name": auth["username"], "password": auth["password"], "domain": domain}
    scope = {"project": {"name": auth["project_name"], "domain": domain}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()


def each(work: Callable[[Any], object], over: list[Any], before: Callable[[], None] | None = None) -> float:
    """Microseconds of this thread's CPU for one call, `before` not counted."""
    spent = 0
    if before is None:
        began = time.thread_time_ns()
        for item in over:
            work(item)
        spent = time.thread_time_ns() - began
    else:
        for item in over:
            before()
            began = time.thread_time_ns()
            work(item)
            spent += time.thread_time_ns() - began
    return spent / len(over) / 1e3


def argon2id(times: int) -> float:
    """Microseconds of CPU of one verification by argon2-cffi with the program's parameters."""
    hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1, type=Type.ID)
    hashed = hasher.hash("a password")
    return each(lambda _: hasher.verify(hashed, "a password"), [None] * times)


def in_process(cloud: Installation, count: int) -> Iterator[tuple[str, float]]:
    """(what, microseconds of CPU), one round."""
    identity = Identity(cloud)
    check, known = identity.service.core.authenticator.session, [identity.token] * count
    check(identity.token)
    yield "known", each(check, known)
    yield "known, after a commit", each(check, known[: count // 4], identity.commit)
    fresh = [identity.another() for _ in range(count)]
    yield "never seen", each(check, fresh)
    fresh = [identity.another() for _ in range(count // 4)]
    yield "never seen, after a change of rights", each(check, fresh, identity.change)
    headers = {"x-auth-token": identity.token, "x-subject-token": identity.token}
    path = b"/identity/v3/auth/tokens"
    request = HttpRequest("GET", path, b"", headers, b"", peer="127.0.0.1")
    assert identity.api.handle(request).status == 200
    yield "GET /v3/auth/tokens below the server", each(identity.api.handle, [request] * count)
    verify = identity.service.core.passwords.verify
    times = max(10, count // 100)
    yield "argon2-cffi alone", argon2id(times)
    hashed = identity.service.core.passwords.hash(identity.password)
    yield "argon2id alone", each(lambda _: verify(hashed, identity.password), [None] * times)
    yield "issue by password", each(lambda _: identity.issue(), [None] * times)
    identity.base.db.close()


def over_http(count: int) -> Iterator[tuple[str, float]]:
    """(what, microseconds of CPU of all processes), one round on a fresh installation."""
    folder = Path(tempfile.mkdtemp(prefix="bench-tokens-"))
    peer = Andromede()
    try:
        peer.start(folder)
        cloud = peer.cloud
        assert cloud is not None
        url, body = f"{cloud.identity_url}/v3/auth/tokens", login(cloud)
        with httpx.Client(trust_env=False) as client:
            texts = [client.post(url, content=body).headers["x-subject-token"] for _ in range(2)]

        def ask(client: httpx.Client, subject: str) -> None:
            found = client.get(url, headers={"X-Auth-Token": texts[0], "X-Subject-Token": subject})
            assert found.status_code == 200, found.text

        def enter(client: httpx.Client, secret: bytes) -> None:
            found = client.post(url, content=secret)
            assert found.status_code == 201, found.text

        def measured(
            connections: int, act: Callable[[httpx.Client, Any], None], over: list[Any]
        ) -> tuple[float, float]:
            def share(number: int) -> None:
                with httpx.Client(trust_env=False) as client:
                    for one in over[number::connections]:
                        act(client, one)

            before, began = processor_seconds(peer.pids()), time.perf_counter()
            with ThreadPoolExecutor(connections) as threads:
                list(threads.map(share, range(connections)))
            took = time.perf_counter() - began
            time.sleep(TAIL)
            return (processor_seconds(peer.pids()) - before) / len(over) * 1e6, len(over) / took

        for connections in (1, 8):
            for name, subject in (("its own token", texts[0]), ("another's token", texts[1])):
                measured(connections, ask, [subject] * 20)
                cpu, rate = measured(connections, ask, [subject] * count)
                yield f"HTTP ×{connections}, {name}: CPU", cpu
                yield f"HTTP ×{connections}, {name}: requests/s", rate
        for connections in (1, 16):
            fresh = [peer.login.token(peer.login.token_body(texts[0])) for _ in range(count // 2)]
            yield FRESH.format(connections), measured(connections, ask, fresh)[0]
        for connections in (1, 4):
            yield ISSUE.format(connections), measured(connections, enter, [body] * ISSUES)[0]
    finally:
        peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


def report(found: dict[str, list[float]]) -> bool:
    """A Markdown table; whether every limit holds."""
    print("\n| check, request or issue | median | limit |\n|---|---|---|")
    good = True
    for name, values in found.items():
        median, limit = statistics.median(values), LIMITS.get(name)
        good &= limit is None or median <= limit
        print(f"| {name} | {median:,.1f} | {'' if limit is None else f'{limit:,.0f}'} |")
    hashes = found["argon2-cffi alone"]
    for name in ("issue by password", *(ISSUE.format(connections) for connections in (1, 4))):
        ratio = statistics.median(b / a for a, b in zip(hashes, found[name], strict=True))
        good &= ratio <= ISSUE_LIMIT
        print(f"| {name.removesuffix(': CPU')} ÷ argon2id | {ratio:.3f} | {ISSUE_LIMIT} |")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.tokens", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=2000, help="checks in each round")
    choice = parser.parse_args()
    found: dict[str, list[float]] = {}
    folder = Path(tempfile.mkdtemp(prefix="bench-tokens-"))
    cloud = Installation(folder / "cloud")
    try:
        cloud.start()
        cloud.stop()
        for _ in range(choice.rounds):
            for name, value in (*in_process(cloud, choice.count), *over_http(choice.count)):
                found.setdefault(name, []).append(value)
                print(f"{name}: {value:,.1f}", flush=True)
    finally:
        cloud.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
