"""Hostile input: passwords, codes, application credentials and signatures guessed against a running installation.

    python -m tests.campaign.fuzz_guess --attempts 400 --names 1000000

Each credential is throttled from one address (429 with Retry-After) and still served from another; a million user
names leave no memory behind; an unknown user and a wrong password are told apart by nothing, time included.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import shutil
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.campaign.driver import verdict
from tests.campaign.fuzz_timing import welch
from tests.support.clock import FakeClock
from tests.support.installation import Installation
from tests.support.keystone import Keystone, Tenant
from tests.support.processes import memory, processes
from tests.support.sigv4 import Signer

ENUMERATION_T = 4.5


@dataclass(slots=True)
class Guesser:
    """Requests from one source address, one connection each time it is closed."""

    address: str
    source: str
    connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        host, _, port = self.address.rpartition(":")
        for _ in range(2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(host, int(port), 60, source_address=(self.source, 0))
            try:
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                read = answer.read()
                return answer.status, {name.lower(): value for name, value in answer.getheaders()}, read
            except (http.client.HTTPException, ConnectionError):
                self.close()
        raise ConnectionError(f"{self.address} does not answer")

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def login(self, identity: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        body = json.dumps({"auth": {"identity": identity}}).encode()
        return self.ask("POST", "/identity/v3/auth/tokens", body, {"content-type": "application/json"})


def password(name: str, secret: str) -> dict[str, Any]:
    return {
        "methods": ["password"],
        "password": {"user": {"name": name, "domain": {"id": "default"}, "password": secret}},
    }


@dataclass(frozen=True, slots=True)
class Prey:
    """A user that is spared the lock-out, with one credential of each kind."""

    tenant: Tenant
    app_id: str
    app_secret: str
    region: str


def prey(installation: Installation) -> Prey:
    admin = Keystone.admin(installation)
    tenant = admin.tenant("prey")
    spared = {"user": {"options": {"ignore_lockout_failure_attempts": True}}}
    admin.call("PATCH", f"/users/{tenant.user_id}", spared)
    seed = {"type": "totp", "blob": "JBSWY3DPEHPK3PXP", "user_id": tenant.user_id}
    admin.call("POST", "/credentials", {"credential": seed})
    auth = {"username": tenant.user_name, "password": tenant.password, "project_name": tenant.project_name}
    own = Keystone.log_in(installation, auth)
    path = f"/users/{tenant.user_id}/application_credentials"
    made = own.call("POST", path, {"application_credential": {"name": "robot"}})["application_credential"]
    own.http.close()
    admin.http.close()
    return Prey(tenant, made["id"], made["secret"], installation.s3["AWS_REGION"])


def allowed(seconds: float) -> float:
    """Guesses at one credential from one address that pass in the time; a slow machine may not get beyond them."""
    return 100 + 10 * seconds


def _guesses(address: str, source: str, proofs: list[dict[str, Any]]) -> list[tuple[int, dict[str, str], bytes]]:
    """The answers to so many guesses, four at a time: one by one they could stay below the rate that is allowed."""

    def some(part: list[dict[str, Any]]) -> list[tuple[int, dict[str, str], bytes]]:
        guesser = Guesser(address, source)
        try:
            return [guesser.login(proof) for proof in part]
        finally:
            guesser.close()

    with ThreadPoolExecutor(4) as pool:
        return [answer for answers in pool.map(some, [proofs[at::4] for at in range(4)]) for answer in answers]


def throttled(installation: Installation, attempts: int) -> list[str]:
    """Guess at each credential from one address; then use the right one from there and from elsewhere."""
    found = prey(installation)
    tenant, wrong = found.tenant, []
    here, there = "127.0.0.66", "127.0.0.67"

    def app(secret: str) -> dict[str, Any]:
        return {"methods": ["application_credential"], "application_credential": {"id": found.app_id, "secret": secret}}

    def code(text: str) -> dict[str, Any]:
        return {"methods": ["totp"], "totp": {"user": {"id": tenant.user_id, "passcode": text}}}

    trials: tuple[tuple[str, Any, Any], ...] = (
        ("password", lambda n: password(tenant.user_name, f"wrong {n}"), password(tenant.user_name, tenant.password)),
        ("application credential", lambda n: app(f"wrong {n}"), app(found.app_secret)),
        ("one-time code", lambda n: code(f"{n:06d}"), None),
    )
    for name, guess, right in trials:
        start = time.monotonic()
        answers = _guesses(installation.api, here, [guess(number) for number in range(attempts)])
        statuses = Counter(status for status, _, _ in answers)
        print(f"{name}: {attempts} guesses, {dict(statuses)}", flush=True)
        if not statuses[429] and attempts > 1.2 * allowed(time.monotonic() - start):
            wrong.append(f"{name}: never throttled")
        if any(status == 429 and "retry-after" not in headers for status, headers, _ in answers):
            wrong.append(f"{name}: 429 without Retry-After")
        if set(statuses) - {401, 429}:
            wrong.append(f"{name}: {dict(statuses)}")
        if right is not None:
            elsewhere = Guesser(installation.api, there)
            status, _, read = elsewhere.login(right)
            elsewhere.close()
            if status != 201:
                wrong.append(f"{name}: the right one from elsewhere got {status} {read[:200]!r}")
    return wrong + _signatures(installation, found, attempts, (here, there))


def _signatures(installation: Installation, found: Prey, attempts: int, sources: tuple[str, str]) -> list[str]:
    signer = Signer(found.tenant.access, found.tenant.secret, found.region)
    bad = Signer(found.tenant.access, "x" * 40, found.region)
    host, wrong = installation.objects, []

    def ask(source: str, with_: Signer) -> int:
        guesser = Guesser(installation.objects, source)
        headers = with_.headers("GET", "/", {"host": host})
        status, shown, _ = guesser.ask("GET", "/", b"", headers)
        guesser.close()
        if status == 429 and "retry-after" not in shown:
            wrong.append("signature: 429 without Retry-After")
        return status

    start = time.monotonic()
    statuses = Counter(ask(sources[0], bad) for _ in range(attempts * 2))
    print(f"signature: {attempts * 2} guesses, {dict(statuses)}", flush=True)
    if not statuses[429] and attempts * 2 > 2.4 * allowed(time.monotonic() - start):
        wrong.append("signature: never throttled")
    if ask(sources[1], signer) != 200:
        wrong.append("signature: the right one from elsewhere is refused")
    return wrong


def names(installation: Installation, live: int, count: int) -> list[str]:
    """Many user names: `live` of them over the wire, the rest against the brakes themselves."""
    from andromede.errors import OverQuota
    from andromede.web.limiter import RateLimiter

    wrong = []
    pids = {pid for pid, role in processes(installation.data).items() if role == "api"}
    guessers = [Guesser(installation.api, f"127.0.{number}.9") for number in range(1, 9)]
    before = memory(pids)
    for number in range(live):
        status, _, read = guessers[number % 8].login(password(f"user-{number}-" + "n" * 5000, "x"))
        if status not in (401, 429):
            wrong.append(f"an unknown name got {status} {read[:200]!r}")
    for guesser in guessers:
        guesser.close()
    grown = (memory(pids) - before) / (1 << 20)
    limiter = RateLimiter(FakeClock(), 20.0, 200)
    for number in range(count):
        with contextlib.suppress(OverQuota):
            limiter.take(f"name {number}")
    print(f"names: {live} over the wire, {grown:+.1f} MiB; {count} at the brake, {len(limiter)} remembered", flush=True)
    if grown > 48:
        wrong.append(f"{live} user names left {grown:.0f} MiB at the API port")
    if len(limiter) > 10_000:
        wrong.append(f"the brake remembers {len(limiter)} names")
    return wrong


def enumeration(installation: Installation, pairs: int) -> list[str]:
    """A wrong password of a user who exists against one who does not, in random order: same answer, same time."""
    admin = Keystone.admin(installation)
    known = [admin.tenant("known") for _ in range(4)]
    for tenant in known:
        admin.call(
            "PATCH", f"/users/{tenant.user_id}", {"user": {"options": {"ignore_lockout_failure_attempts": True}}}
        )
    admin.http.close()
    dice, took, bodies = random.Random(7), ([], []), (set(), set())  # type: ignore[var-annotated]
    for number in range(pairs):
        for there in dice.sample((0, 1), 2):
            name = known[number % 4].user_name if there else f"absent-{number % 4}-{'0' * 6}"
            guesser = Guesser(installation.api, f"127.1.{number % 200}.{1 + there}")
            start = time.perf_counter()
            status, _, read = guesser.login(password(name, f"wrong {number}"))
            took[there].append(time.perf_counter() - start)
            bodies[there].add((status, read))
            guesser.close()
            time.sleep(0.005)
    t = welch(*(sorted(side)[: int(len(side) * 0.9)] for side in took))
    medians = [statistics.median(side) * 1000 for side in took]
    print(f"enumeration: {medians[0]:.2f} ms unknown, {medians[1]:.2f} ms known, |t| = {abs(t):.2f}", flush=True)
    wrong = [] if bodies[0] == bodies[1] and len(bodies[0]) == 1 else [f"answers differ: {bodies}"]
    if abs(t) > ENUMERATION_T:
        wrong.append(f"time tells known users from unknown ones: |t| = {abs(t):.1f}, {medians} ms")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--attempts", type=int, default=600)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=3_000)
    parser.add_argument("--pairs", type=int, default=400)
    options = parser.parse_args()
    installation = Installation.fresh()
    try:
        with installation:
            wrong = throttled(installation, options.attempts)
            wrong += names(installation, options.live, options.names)
            wrong += enumeration(installation, options.pairs)
    finally:
        shutil.rmtree(installation.data, ignore_errors=True)
    return verdict(wrong)


if __name__ == "__main__":
    sys.exit(main())
