"""What hosting has in the kernel outlives the program, and one command takes all of it off the machine."""

from __future__ import annotations

import json
import subprocess

import pytest

from andromede.ops import hosting
from tests.support.hosted import settings
from tests.support.installation import Installation, wait_until


def _ours(installation: Installation) -> list[str]:
    """Lines of ip(8) about namespaces and links with the installation's name on them."""
    own = json.loads((installation.data / "installation.json").read_text())["id"].replace("-", "")[:6]
    told = [subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout for words in (
        ("netns", "list"), ("-o", "link", "show"))]  # fmt: skip
    return [line for text in told for line in text.splitlines() if own in line]


@pytest.mark.skipif(not hosting.able(), reason=f"this machine cannot host: {hosting.able().missing}")
def test_networks_outlive_the_program_until_the_host_is_cleared() -> None:
    chosen = {**settings(), "hosting.enabled": "on", "hosting.images": "", "server.object_workers": 1}
    made = Installation.fresh(**{name.replace(".", "__"): value for name, value in chosen.items()})
    with made:
        wait_until("the bridge outside", lambda: _ours(made), 30.0)
        refused = made.run("host", "clear", "--yes", check=False)
        assert refused.returncode != 0 and "runs" in refused.stdout
        made.run("down")
        assert _ours(made)
        assert "bridge ax-" in made.run("host", "clear", "--yes").stdout
        assert not _ours(made)
        assert "nothing was there" in made.run("host", "clear", "--yes").stdout
