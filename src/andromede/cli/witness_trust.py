"""witness trust: one command per side, and two installations witness each other."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from andromede.cli import table
from andromede.cli.output import Output
from andromede.cli.witness import Home, home, read_ca, say_fingerprints
from andromede.db import Tx
from andromede.errors import Conflict, Error, Invalid, Unavailable
from andromede.ledger.note import COSIGNATURE, ED25519, MLDSA44, BadNote, Verifier
from andromede.sovereignty import policies
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.policies import Named
from andromede.sovereignty.witness_http import Link, check_url
from andromede.sovereignty.witness_routes import ABOUT, PREFIX

_INSTALL = re.compile(r"andromede-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """What the other side says of itself: its logs (none for a witness that stands alone) and its witness."""

    prefix: str
    logs: tuple[Verifier, ...]
    name: str
    witness: tuple[Verifier, ...]


def trust(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness trust URL`, or with --vkey for a witness or log of another make."""
    here = home(args)
    keys = _keys(args.vkey or ())
    if args.origin:
        return _log(here, args, keys, out)
    if not args.url:
        raise Invalid("name the URL of the other side, or --origin and --vkey of a log", "config")
    if keys:
        return _foreign(here, args, keys, out)
    return _installation(here, args, out)


def _keys(texts: Sequence[str]) -> tuple[Verifier, ...]:
    try:
        return tuple(map(Verifier.parse, texts))
    except BadNote as error:
        raise Invalid(f"--vkey: {error}", "config") from error


def _log(here: Home, args: argparse.Namespace, keys: Sequence[Verifier], out: Output) -> int:
    """Cosign one log of another make."""
    if not keys or any(key.kind not in (ED25519, MLDSA44) for key in keys):
        raise Invalid("--origin needs the log's own key or keys: --vkey NAME+ID+KEY (Ed25519 or ML-DSA-44)", "config")
    if args.origin.endswith("/"):
        raise Invalid("an origin does not end in a slash; trust a whole installation by its URL", "config")
    _rule(here, args.origin, keys, args)
    out.result({"cosigns": args.origin, "keys": list(map(str, keys))})
    out.say(f"we cosign {args.origin} from now on")
    return table.OK


def _foreign(here: Home, args: argparse.Namespace, keys: Sequence[Verifier], out: Output) -> int:
    """Let a witness of another make cosign our logs; `url` is its submission prefix."""
    if here.base is None:
        raise Invalid(
            "a witness that stands alone has no logs to be cosigned; --vkey of a log goes with --origin", "config"
        )
    if any(key.kind not in (COSIGNATURE, MLDSA44) for key in keys) or len({key.name for key in keys}) != 1:
        raise Invalid("--vkey must be cosignature keys (type 04 or 06) of one witness", "config")
    url = args.url.rstrip("/")
    _peer(here, (url, keys[0].name, keys), args)
    out.result({"asked": keys[0].name, "url": url, "keys": list(map(str, keys))})
    out.say(f"{keys[0].name} at {url} is asked to cosign every log whose policy is the default one")
    out.say("It must know our logs as well: give its operator the keys that `andromede ledger status` shows.")
    return table.OK


def _installation(here: Home, args: argparse.Namespace, out: Output) -> int:
    base = args.url.rstrip("/").removesuffix(PREFIX)
    told = _ask(here, base, read_ca(args.ca))
    if here.base is None and not told.prefix:
        raise Invalid(f"{base} is a witness that stands alone: it has no logs to cosign", "witness")
    _refuse_self(here, told)
    if told.prefix:
        _rule(here, told.prefix, told.logs, args)
    if here.base is not None:
        _peer(here, (base + PREFIX, told.name, told.witness), args)
    out.result(
        {
            "cosigns": told.prefix or None,
            "log_keys": list(map(str, told.logs)),
            "asked": told.name if here.base else None,
            "witness_keys": list(map(str, told.witness)),
        }
    )
    if told.prefix:
        out.say(f"we cosign every log below {told.prefix}, keys:")
        say_fingerprints(told.logs, out)
    if here.base is not None:
        out.say(f"{told.name} is asked to cosign our logs, keys:")
        say_fingerprints(told.witness, out)
    out.say(
        "Compare these fingerprints over another channel with what `andromede witness key` prints on the other side."
    )
    if told.prefix and here.base is not None:
        out.say("The other side does the same with our URL: andromede witness trust URL")
    return table.OK


def _ask(here: Home, base: str, ca: str) -> Told:
    check_url(base, guarded=False)
    try:
        answer = Link(base, here.clock, ca).get(ABOUT)
    except Unavailable as error:
        hint = "; with a certificate of its own authority: --ca FILE" if base.startswith("https:") and not ca else ""
        raise Unavailable(error.public + hint, "witness") from error
    try:
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        return _told(json.loads(answer.body))
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(
            f"{base} is neither an installation nor a witness of Andromède ({error}); a witness of another make is "
            "named with its URL and --vkey",
            "witness",
        ) from error


def _told(document: Any) -> Told:
    """The checked content of `GET /sovereignty/v1/installation`."""
    witness = document["witness"]
    keys = tuple(map(Verifier.parse, witness["vkeys"]))
    if [key.kind for key in keys] != [COSIGNATURE, MLDSA44] or {key.name for key in keys} != {witness["name"]}:
        raise ValueError("its witness has no pair of keys")
    if document["install"] is None:
        return Told("", (), keys[0].name, keys)
    install, logs = document["install"], tuple(map(Verifier.parse, document["keys"]))
    if not _INSTALL.fullmatch(install) or document["prefix"] != f"{install}/":
        raise ValueError("its name has another form")
    if [key.kind for key in logs] != [ED25519, MLDSA44] or not all(key.name.startswith(install + "/") for key in logs):
        raise ValueError("its log has no pair of keys")
    return Told(install + "/", logs, keys[0].name, keys)


def _refuse_self(here: Home, told: Told) -> None:
    if here.base is None:
        return
    try:
        own = {str(signer.verifier) for signer in here.keys().signers}
    except Error:
        own = set()
    if own & set(map(str, told.witness)):
        raise Conflict("this is our own URL; a witness must be somebody else", "witness")


def _rule(here: Home, name: str, keys: Sequence[Verifier], args: argparse.Namespace) -> None:
    text = "\n".join(map(str, keys))
    known = store.trust(here.db, [name])
    same = not known or {Verifier.parse(k).public for k in str(known[0][1]).splitlines()} == {k.public for k in keys}
    if not same and not args.replace:
        raise Conflict(
            f"{name} was trusted with other keys; if its operator confirms the change: --replace. A log whose keys "
            "changed may be another log",
            "witness",
        )
    url = (args.url or "").rstrip("/")
    here.change("trust", name, lambda tx: store.put_trust(tx, name, text, url, here.clock.now_us()))


def _peer(here: Home, who: tuple[str, str, Sequence[Verifier]], args: argparse.Namespace) -> None:
    """Put a witness into the default policy, under the first of its keys, with what we know of it besides."""
    url, name, keys = who
    listed = policies.parsed(here.db, policies.DEFAULT).witnesses.get(name)
    known = [str(row[2]).splitlines() for row in store.peers(here.db) if row[0] == url]
    changed = (listed is not None and listed not in keys) or (known and set(known[0]) != set(map(str, keys)))
    if changed and not args.replace:
        raise Conflict(f"{name} was known with other keys; if its operator confirms the change: --replace", "witness")
    row = (url, name, "\n".join(map(str, keys)), read_ca(args.ca), args.run_by or "", here.clock.now_us())

    def work(tx: Tx) -> None:
        store.put_peer(tx, row)
        policies.add_witness(tx, policies.DEFAULT, Named(name, keys[0], url), here.clock.now_us())

    here.change("ask", name, work)
