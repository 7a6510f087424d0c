"""Hostile input: whether the time of a check tells how much of a secret was guessed.

    python -m tests.campaign.fuzz_timing --samples 20000

Every comparison of a signature or token is given two guesses in random order, one wrong from its first byte on and one
wrong in its last alone; Welch's t over the processor time of each class stays below a bound (after Reparaz, Balasch and
Verbauwhede, "Dude, is my code constant time?", 2017; they take |t| > 10 for sure and > 4.5 for a leak to look at).
"""

from __future__ import annotations

import argparse
import atexit
import base64
import contextlib
import gc
import hashlib
import hmac
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from andromede.errors import Error
from andromede.identity.keyring import KeyRing
from andromede.identity.passwords import Passwords
from andromede.identity.rooms import Rooms
from andromede.ids import RandomIds
from andromede.objects.s3 import sigv2, sigv4
from andromede.objects.s3.chunked import ChunkSigner
from andromede.objects.swift.access import matches as signed_url
from andromede.volumes.transfers import matches as transfer_key
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Headers, Request
from tests.support.clock import FakeIds

BOUND = 10.0
KEPT = 0.9


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a secret: `run` gets a guess; `early` is wrong at once, `late` in its last byte."""

    name: str
    run: Callable[[bytes], object]
    early: bytes
    late: bytes


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """The t statistic of the difference of two means with unequal variances."""
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread) if spread else 0.0


def wrong_at(right: bytes, at: int) -> bytes:
    """The right answer but for one byte, another of the same alphabet."""
    swapped = b"1" if right[at : at + 1] != b"1" else b"0"
    return right[:at] + swapped + right[at + 1 :]


def _refused(run: Callable[[], object]) -> None:
    try:
        held = run()
    except Error:
        return
    assert not held, "a wrong guess was taken"


def checks() -> list[Check]:
    """Every place that compares what a client sends with a secret."""
    found = []
    key = b"k" * 32
    text = b"GET\n/box/key\n" * 4
    right = hmac.digest(key, text, "sha256")
    found.append(
        Check(
            "temporary URL, form",
            lambda guess: signed_url(key, text, "sha256", guess),
            wrong_at(right, 0),
            wrong_at(right, 31),
        )
    )
    two = base64.b64encode(hmac.digest(b"secret", text, "sha1"))
    found.append(
        Check(
            "signature 2",
            lambda guess: sigv2.matches("secret", text, guess.decode()),
            wrong_at(two, 0),
            wrong_at(two, 26),
        )
    )
    request, claimed, signature = _v4()

    def four(guess: bytes) -> object:
        return sigv4.verify(request, claimed(guess.decode()), "secret")

    found.append(Check("signature 4", four, wrong_at(signature, 0), wrong_at(signature, 63)))
    found.append(_chunk(claimed))
    found.append(_token())
    found.append(_password())
    found.append(_transfer())
    return found


def _password() -> Check:
    """What a password comes to, against what is kept of it; with argon2's least memory, for the hash hides the rest."""
    passwords = Passwords(RandomIds())
    passwords._rooms = rooms = Rooms(8)
    with rooms.room() as room:
        right = base64.b64encode(room.derive(b"password", bytes(16), 1, 32)).rstrip(b"=")
    salt = base64.b64encode(bytes(16)).decode().rstrip("=")

    def run(kept: bytes) -> bool:
        return passwords.verify(f"$argon2id$v=19$m=8,t=1,p=1${salt}${kept.decode()}", "password")

    assert run(right)
    return Check("password", run, wrong_at(right, 0), wrong_at(right, 41))


def _transfer() -> Check:
    """What the key of an offered volume comes to, against what is kept of it."""
    right = hmac.digest(b"salt", b"key", "sha256").hex().encode()

    def run(kept: bytes) -> bool:
        return transfer_key("salt", kept.decode(), "key")

    assert run(right)
    return Check("key of an offered volume", run, wrong_at(right, 0), wrong_at(right, 63))


def _v4() -> tuple[Request, Callable[[str], sigv4.Claimed], bytes]:
    """A signed request, how its signature is claimed, and the right one."""
    fields = Headers.of(("host", "h"), ("x-amz-date", "20260101T000000Z"), ("x-amz-content-sha256", sigv4.UNSIGNED))
    request = Request("GET", b"/box/k", b"/box/k", b"", fields, "http", "", BufferedBody(b""), "req-1")
    names = "host;x-amz-content-sha256;x-amz-date"
    scope = sigv4.scope_of("KEY/20260101/fr1/s3/aws4_request", names, "auth_header")

    def claimed(signature: str) -> sigv4.Claimed:
        return sigv4.Claimed(scope, signature, "20260101T000000Z", sigv4.UNSIGNED)

    text = sigv4.string_to_sign(claimed(""), sigv4.canonical_request(request, claimed("")))
    return request, claimed, sigv4.sign(sigv4.signing_key("secret", "20260101", "fr1", "s3"), text).encode()


def _chunk(claimed: Callable[[str], sigv4.Claimed]) -> Check:
    empty = hashlib.sha256(b"").hexdigest()
    seed = claimed("0" * 64)
    text = f"AWS4-HMAC-SHA256-PAYLOAD\n{seed.amz_date}\n{seed.scope.text}\n{seed.signature}\n{empty}\n{empty}"
    right = sigv4.sign(b"k" * 32, text.encode()).encode()

    def run(guess: bytes) -> None:
        ChunkSigner(b"k" * 32, seed).chunk(empty, guess.decode())

    return Check("chunk signature", run, wrong_at(right, 0), wrong_at(right, 63))


def _token() -> Check:
    """The last 32 bytes of a Fernet token are its HMAC."""
    folder = Path(tempfile.mkdtemp(prefix="andromede-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ring = KeyRing(folder)
    ring.create(FakeIds())
    raw = base64.urlsafe_b64decode(ring.encrypt(b"claims" * 20, 1))

    def guess(at: int) -> bytes:
        spoilt = bytearray(raw)
        spoilt[at] ^= 1
        return base64.urlsafe_b64encode(bytes(spoilt))

    def run(sent: bytes) -> object:
        try:
            return ring.decrypt(sent)
        except Exception:  # whatever the library raises for a bad token
            return None

    return Check("token", run, guess(len(raw) - 32), guess(len(raw) - 1))


def measured(check: Check, samples: int, seed: int) -> float:
    """|t| between the two classes, the slowest tenth of each left out: interruptions, not the check."""
    dice = random.Random(seed)
    took: tuple[list[float], list[float]] = ([], [])
    guesses = (check.early, check.late)
    order = [dice.getrandbits(1) for _ in range(samples * 2)]
    clock, run = time.process_time_ns, check.run
    for guess in guesses * 200:
        _refused(lambda guess=guess: run(guess))  # type: ignore[misc]
    gc.disable()
    try:
        for side in order:
            guess = bytes(bytearray(guesses[side]))  # fresh: where two values lie in memory is a difference too
            start = clock()
            for _ in range(4):
                with contextlib.suppress(Error):
                    run(guess)
            took[side].append(float(clock() - start))
    finally:
        gc.enable()
    one, other = (sorted(values)[: int(len(values) * KEPT)] for values in took)
    return abs(welch(one, other))


def naive() -> Check:
    """A comparison that stops at the first difference: the measure must see that one."""
    right = b"0123456789abcdef" * 4

    def run(guess: bytes) -> bool:
        return all(given == wanted for given, wanted in zip(guess, right, strict=True))

    return Check("control, byte by byte", run, wrong_at(right, 0), wrong_at(right, 63))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=20_000, help="of each class")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    worst = 0.0
    for check in checks():
        t = measured(check, options.samples, options.seed)
        same = measured(replace(check, late=check.early), options.samples, options.seed)
        print(f"{check.name}: |t| = {t:.2f}; of one guess against itself {same:.2f}", flush=True)
        worst = max(worst, t)
    control = measured(naive(), options.samples, options.seed)
    print(f"{naive().name}: |t| = {control:.0f}")
    print(f"bound {BOUND}: {'held' if worst < BOUND < control else 'BROKEN'}")
    return 0 if worst < BOUND < control else 1


if __name__ == "__main__":
    sys.exit(main())
