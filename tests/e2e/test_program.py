"""Start, stop and what `up` leaves for a new user."""

from __future__ import annotations

import resource
import stat
import subprocess
import time

import httpx
import pytest

from tests.support.installation import COMMAND, Installation
from tests.support.processes import memory, processes, with_children

pytestmark = pytest.mark.timeout(180)
MEBIBYTE = 1 << 20


def test_up_is_ready_when_it_returns_and_down_leaves_nothing(own: Installation) -> None:
    began = time.monotonic()
    own.start()
    seconds = time.monotonic() - began
    assert httpx.get(f"http://{own.api}/readyz").status_code == 200
    assert httpx.get(f"http://{own.objects}/").status_code == 403
    assert seconds < 60, f"up took {seconds:.1f} s"
    assert processes(own.data)
    own.stop()
    assert processes(own.data) == {}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{own.api}/readyz")


def test_secrets_are_readable_by_their_owner_only(own: Installation) -> None:
    own.start()
    for name in ("clouds.yaml", "s3.env"):
        assert stat.S_IMODE((own.data / name).stat().st_mode) == 0o600, name
    assert {"andromede", "andromede-admin"} <= set(own.clouds)
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"} <= set(own.s3)
    assert own.s3["AWS_REGION"] == "fr1"
    secret = own.s3["AWS_SECRET_ACCESS_KEY"]
    assert secret not in own.log_text()
    assert own.clouds["andromede-admin"]["auth"]["password"] not in own.log_text()


def test_a_second_start_keeps_the_data(own: Installation) -> None:
    own.start()
    before = own.s3, own.clouds
    own.stop()
    own.start()
    assert (own.s3, own.clouds) == before


def test_a_public_listener_without_tls_is_refused(own: Installation) -> None:
    done = own.run("up", "--listen", "0.0.0.0:0", "--objects", own.objects, "--detach", check=False)
    assert done.returncode != 0
    assert "tls" in done.stdout.lower()


def test_the_idle_cloud_is_small(own: Installation) -> None:
    own.start()
    time.sleep(2)
    used = memory(with_children(list(processes(own.data))))
    assert used < 160 * MEBIBYTE, f"{used / MEBIBYTE:.0f} MiB"


def test_fsck_of_a_fresh_installation_is_clean(own: Installation) -> None:
    own.start()
    own.stop()
    assert own.run("fsck").returncode == 0


def test_help_is_quick(own: Installation) -> None:
    own.run("--help", check=False)
    best = min(_seconds(own) for _ in range(3))
    assert best < 0.5, f"{best:.3f} s"


def _seconds(installation: Installation) -> float:
    """Processor time, which other work on the machine does not lengthen as it does the time on the wall."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*COMMAND, "--help"], env=installation.environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
