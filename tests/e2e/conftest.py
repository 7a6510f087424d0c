"""One installation for all end-to-end tests that do not need their own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import pytest

from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.swift import SwiftDoor

MANY = 10_000


def _running(tls: bool) -> Iterator[Installation]:
    installation = Installation.fresh(tls=tls)
    with installation:
        yield installation
    shutil.rmtree(installation.data, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Installation]:
    """The program over plain HTTP on loopback."""
    yield from _running(tls=False)


@pytest.fixture(scope="session")
def secure_cloud() -> Iterator[Installation]:
    """The program over TLS with its own CA."""
    yield from _running(tls=True)


@pytest.fixture
def own() -> Iterator[Installation]:
    """A data directory that nothing runs on yet."""
    installation = Installation.fresh()
    yield installation
    installation.stop()
    shutil.rmtree(installation.data, ignore_errors=True)


@pytest.fixture(scope="session")
def demo(cloud: Installation) -> Iterator[Keystone]:
    """The demo user, logged in."""
    user = Keystone.log_in(cloud, cloud.clouds["andromede"]["auth"])
    with contextlib.closing(user.http):
        yield user


@pytest.fixture(scope="session")
def admin(cloud: Installation) -> Iterator[Keystone]:
    """The first administrator, logged in."""
    user = Keystone.admin(cloud)
    with contextlib.closing(user.http):
        yield user


@pytest.fixture(scope="session")
def many(cloud: Installation, demo: Keystone) -> str:
    """A bucket of the demo project with 10,000 small objects `key-00000`..., put through the Swift door."""
    with SwiftDoor(demo) as door:
        door.expect("PUT", "/many", 201)
        for number in range(MANY):
            door.expect("PUT", f"/many/key-{number:05d}", 201, b"%05d" % number)
    return "many"
