"""ledger monitor: follow a log from the tenant's side, trusting nobody."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import ssl
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

from andromede.cli import common
from andromede.cli.output import Output
from andromede.cli.remote import read_cloud
from andromede.clock import Clock, SystemClock
from andromede.errors import Error, Invalid
from andromede.sovereignty.monitor.evidence import LOCAL_CODE, NOTE, Finding
from andromede.sovereignty.monitor.monitor import Monitor, Options, Round
from andromede.sovereignty.monitor.site import LogSite
from andromede.sovereignty.monitor.views import Limits
from andromede.sovereignty.monitor.whole import Whole
from andromede.sovereignty.monitor.wire import Ask, Silent, Site, Token, Wire, exchange

EXEC_SECONDS = 60
_LARGEST = 1 << 20


def monitor(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger monitor`: 0 fine, 1 contradiction, 2 usage or trouble on this side, 3 late or silent."""
    try:
        clock = SystemClock()
        wire = Wire(_site(args))
        site = LogSite(wire, "every log" if args.all else args.log)
        options = Options(
            policy=_text(args.policy) if args.policy else None,
            keep=args.keep,
            journal=Path(args.journal) if args.journal else None,
            limits=Limits(args.fresh * 3600, args.lag, args.witness_lag),
        )
        folder = _state(args, site)
        with Whole(wire, folder, clock, options) if args.all else Monitor(site, folder, clock, options) as watch:
            return _follow(watch, args, out, clock)
    except (Error, OSError) as error:
        text = error.public if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        out.result({"error": {"kind": "local", "message": text}})
        out.note(f"andromede: {text}")
        return LOCAL_CODE


def _follow(watch: Monitor | Whole, args: argparse.Namespace, out: Output, clock: Clock) -> int:
    """Round after round; a contradiction ends it, and so does SIGTERM."""
    told: set[str] = set()
    last = -1
    ending = _Ending()
    if not args.once:
        signal.signal(signal.SIGTERM, ending.ask)
    while True:
        found = watch.round()
        _say(found, told, args.once, out)
        if not out.as_json and found.code != last:
            _sum_up(found, out)
        last = found.code
        fresh = [one for one in found.findings if one.key not in told and one.grade != NOTE]
        if fresh and args.exec:
            _run(args.exec, found, fresh, out)
        told = {one.key for one in found.findings}
        if args.once or found.code == 1 or ending.rest(clock, args.interval):
            return found.code


class _Now(Exception):
    """Wakes a sleeper."""


class _Ending:
    """SIGTERM: a round is finished, a pause is not."""

    def __init__(self) -> None:
        self._asked = self._resting = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        self._asked = True
        if self._resting:
            raise _Now

    def rest(self, clock: Clock, seconds: float) -> bool:
        """Pause; whether the end was asked for."""
        try:
            self._resting = True
            if not self._asked:
                clock.sleep(seconds)
            self._resting = False
        except _Now:
            self._resting = False
        return self._asked


def _say(found: Round, told: set[str], once: bool, out: Output) -> None:
    document = {"code": found.code, **found.facts, "findings": [one.document() for one in found.findings]}
    if out.as_json:
        (out.result if once else out.line)(document)
        return
    for one in found.findings:
        if one.key not in told:
            out.say(f"{found.facts['at']} {one.grade:13} {one.kind}: {one.text}")
            if one.file:
                out.say(f"{'':20} {'':13} evidence: {one.file}")


def _sum_up(found: Round, out: Output) -> None:
    words = {0: "fine", 1: "CONTRADICTION", 3: "not fine"}[found.code]
    facts = found.facts
    signed = f"cosigned: {_cosigned(facts)}"
    out.say(f"{facts['at']} {facts['origin'] or facts['server']}: {words}, {facts['size']} entries proved, {signed}")


def _cosigned(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {when}" for name, when in facts["cosigned"].items()) or "by nobody"


def _run(command: str, found: Round, fresh: list[Finding], out: Output) -> None:
    """Tell another program: the findings on its standard input, as JSON. Its failure changes nothing here."""
    document = {"code": found.code, **found.facts, "findings": [one.document() for one in fresh]}
    files = os.pathsep.join(one.file for one in fresh if one.file)
    environment = {**os.environ, "ANDROMEDE_MONITOR_CODE": str(found.code), "ANDROMEDE_MONITOR_EVIDENCE": files}
    try:
        data = json.dumps(document).encode()
        done = subprocess.run(
            shlex.split(command),
            input=data,
            env=environment,
            timeout=EXEC_SECONDS,
            check=False,
            stdout=subprocess.DEVNULL,
        )
        if done.returncode:
            out.note(f"andromede: {command} ended with {done.returncode}")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        out.note(f"andromede: {command} could not be run: {error}")


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", "config") from error


def _state(args: argparse.Namespace, site: LogSite) -> Path:
    """The folder of the state: what was named, or one of its own for each thing that is followed."""
    if args.state:
        return Path(args.state).expanduser().absolute()
    base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "andromede" / "monitor"
    return base / re.sub(r"[^A-Za-z0-9.]+", "-", f"{args.cloud or ''} {site.url.partition('//')[2]}").strip("-")


def _site(args: argparse.Namespace) -> Site:
    """Where the log is and with which token to ask."""
    if args.all and (args.log or args.journal or args.policy):
        raise Invalid("--all follows every log: --log, --journal and --policy belong to one", "config")
    if bool(args.cloud) == bool(args.url):
        raise Invalid("say what to follow: --cloud NAME, or --url URL with --token-file FILE", "config")
    if args.url:
        if not args.token_file:
            raise Invalid("--url needs --token-file: a file that holds a token, read anew each time", "config")
        return Site(_base(args.url), lambda fresh: _text(args.token_file).strip(), args.cacert)
    path = os.environ.get("OS_CLIENT_CONFIG_FILE")
    cloud = read_cloud(Path(path) if path and not args.data else common.layout(args).clouds, args.cloud)
    url = _base(cloud["auth_url"].rstrip("/").removesuffix("/v3").removesuffix("/identity"))
    return Site(url, _login(cloud), cloud.get("cacert") or args.cacert)


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1").removesuffix("/sovereignty") + "/sovereignty"


def _login(cloud: dict[str, str]) -> Token:
    """A token by password, kept until the server refuses it."""
    kept: list[str] = []

    def token(fresh: bool) -> str:
        if fresh or not kept:
            kept[:] = [_new_token(cloud)]
        return kept[0]

    return token


def _scope(cloud: dict[str, str]) -> dict[str, Any]:
    if cloud.get("system_scope"):
        return {"system": {"all": True}}
    return {"project": {"name": cloud["project_name"], "domain": {"id": cloud.get("project_domain_id", "default")}}}


def _new_token(cloud: dict[str, str]) -> str:
    user = {"name": cloud["username"], "password": cloud["password"]}
    user_domain = {"id": cloud.get("user_domain_id", "default")}
    identity = {"methods": ["password"], "password": {"user": {**user, "domain": user_domain}}}
    body = json.dumps({"auth": {"identity": identity, "scope": _scope(cloud)}}).encode()
    site = Site(cloud["auth_url"].rstrip("/"), cafile=cloud.get("cacert"))
    tls = ssl.create_default_context(cafile=site.cafile) if site.url.startswith("https:") else None
    ask = Ask("POST", "/auth/tokens", {"Content-Type": "application/json"}, body, _LARGEST)
    status, headers, said = exchange(site, tls, ask)
    found = {name.lower(): value for name, value in headers.items()}.get("x-subject-token")
    if status != 201 or not found:
        raise Silent(f"{site.url} gives no token: {status} {said[:200].decode('utf-8', 'replace')}")
    return found
