"""The cost of a password, and what happens when many are checked at once."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from andromede.errors import OverQuota, Unavailable
from andromede.identity import bootstrap, login, passwords
from andromede.identity.passwords import Passwords
from andromede.web.limiter import RateLimiter
from tests.support.clock import FakeClock, FakeIds
from tests.support.cloud import Cloud


@pytest.fixture
def quick_hashes() -> None:
    """Not here."""


def test_a_first_password_is_no_option_of_a_command_line() -> None:
    drawn = [b"\xf8" + bytes(23), b"\xfb" + bytes(23), b"\x01" + bytes(23)]
    core = SimpleNamespace(ids=SimpleNamespace(secret=lambda size: drawn.pop(0)))
    assert bootstrap.new_password(core) == "AQ" + "A" * 30  # type: ignore[arg-type]
    assert drawn == []


def test_the_parameters_that_owasp_recommends() -> None:
    hasher = Passwords(FakeIds())
    encoded = hasher.hash("secret")
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hasher.verify(encoded, "secret")
    assert not hasher.verify(encoded, "Secret")
    for damaged in ("damaged", encoded.replace("t=2", "t=0"), encoded.replace("m=19456", "m=1"), encoded[:-1]):
        assert not hasher.verify(damaged, "secret")
    assert hasher.hash("secret") != encoded


def test_an_unknown_user_costs_as_much_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSES", 12)
    hasher = Passwords(FakeIds())
    encoded = hasher.hash("secret")

    def cost(target: str | None) -> float:
        best = []
        for _ in range(3):
            start = time.process_time()
            assert not hasher.verify(target, "wrong")
            best.append(time.process_time() - start)
        return min(best)

    assert 0.5 < cost(None) / cost(encoded) < 2


def test_more_checks_than_slots_wait_and_then_give_up() -> None:
    hasher = Passwords(FakeIds(), parallel=1, patience=0.05)
    busy, go = threading.Event(), threading.Event()

    def hold() -> None:
        with hasher._slot():
            busy.set()
            go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    busy.wait(10)
    with pytest.raises(Unavailable) as caught:
        hasher.verify(None, "x")
    assert caught.value.detail["retry_after"] == 5
    go.set()
    thread.join()
    assert not hasher.verify(None, "x")


def test_guessing_is_slowed_down_per_user_and_address(cloud: Cloud, clock: FakeClock) -> None:
    cloud.identity.login._limits = login.Limits(
        RateLimiter(clock, 1.0, 3), RateLimiter(clock, 1.0, 2), RateLimiter(clock, 1.0, 3)
    )
    assert [cloud.login("demo", "wrong").status for _ in range(3)] == [401, 401, 429]
    refused = cloud.login("demo", "wrong")
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    clock.advance(5)
    assert cloud.login("demo", cloud.secrets.demo_password).status == 201
    with pytest.raises(OverQuota):
        for _ in range(5):
            cloud.identity.login._limits.address.take("192.0.2.1")
