"""The status board: where the cloud is and what to type next."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from andromede import __version__
from andromede.cli.output import Output
from andromede.ops.layout import Layout
from andromede.ops.running import Running


def program() -> str:
    """How this program was called, so that a pasted command finds it again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m andromede"
    found = shutil.which("andromede")
    if found and Path(found).resolve() == called.resolve():
        return "andromede"
    return shlex.quote(str(called))


def _store(layout: Layout) -> str:
    """Make a bucket and put a file, with a client that this machine has."""
    env = f"set -a; . {shlex.quote(str(layout.s3_env))}"
    if shutil.which("aws"):
        return f"({env}; aws s3 mb s3://first; echo hello | aws s3 cp - s3://first/hello.txt; aws s3 ls s3://first)"
    if shutil.which("rclone"):
        to = "\":s3,provider=Other,env_auth,endpoint='$AWS_ENDPOINT_URL':first/hello.txt\""
        return f"({env}; echo hello | rclone rcat {to}; rclone cat {to})"
    curl = 'curl -sS --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"'
    put = f'{curl} -X PUT "$AWS_ENDPOINT_URL/first"; {curl} -d hello -X PUT "$AWS_ENDPOINT_URL/first/hello.txt"'
    return f'({env}; {put}; {curl} "$AWS_ENDPOINT_URL/first/hello.txt")'


def next_commands(layout: Layout) -> list[str]:
    """Three commands to paste."""
    data = f"--data {shlex.quote(str(layout.data))}"
    who = f"{program()} status {data}"
    if shutil.which("openstack"):
        clouds = shlex.quote(str(layout.clouds))
        who = f"OS_CLIENT_CONFIG_FILE={clouds} openstack --os-cloud andromede-admin catalog list"
    return [who, _store(layout), f"{program()} ledger tail {data}"]


def document(layout: Layout, running: Running, first: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The board as data."""
    return {
        "version": __version__,
        "pid": running.pid,
        "api": running.api_url,
        "objects": running.objects_url,
        "region": running.region,
        "tls": running.tls,
        "data": str(layout.data),
        "clouds_yaml": str(layout.clouds),
        "s3_env": str(layout.s3_env),
        "log": str(layout.log),
        "new": bool(first.get("new")),
        "first_administrator": first.get("admin"),
        "next": next_commands(layout),
        "seconds": round(seconds, 3),
    }


def show(board: Mapping[str, Any], out: Output, detached: bool) -> None:
    """Print it."""
    out.result(board)
    out.say(f"Andromède {board['version']} is ready after {board['seconds']:.1f} s (pid {board['pid']})")
    out.say()
    out.say(f"  API      {board['api']}  (identity at /identity/v3)")
    out.say(f"  objects  {board['objects']}  (S3 at /, Swift at /v1)")
    out.say(f"  clients  {board['clouds_yaml']}  (clouds andromede-admin and andromede)")
    out.say(f"           {board['s3_env']}  (S3 credentials of project demo)")
    out.say(f"  data     {board['data']}  (log: log/andromede.log)")
    out.say("  keys     file custody: whoever operates this machine can decrypt")
    if admin := board["first_administrator"]:
        out.say()
        out.say(f"  first administrator: {admin['user']}, password {admin['password']}")
        out.say("  (also in clouds.yaml; shown this once)")
    out.say()
    out.say("Next, " + ("" if detached else "in another terminal, ") + "paste any of these:")
    for command in board["next"]:
        out.say(f"  {command}")
    out.say()
    stop = f"{program()} down --data {shlex.quote(board['data'])}"
    out.say(f"Stop it with: {stop}" if detached else "Ctrl-C stops it.")
