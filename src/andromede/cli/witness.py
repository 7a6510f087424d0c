"""witness: cosign other logs, and see who cosigns ours; on an installation or for a witness that stands alone."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from andromede import app
from andromede import config as settings
from andromede.audit import Draft
from andromede.cli import common, table
from andromede.cli.output import Output, span
from andromede.clock import US, Clock, iso_second
from andromede.config import Config
from andromede.db import Database, Tx
from andromede.errors import Conflict, Invalid, NotFound
from andromede.ids import Ids, request_id
from andromede.ledger.note import Verifier
from andromede.ops import listeners, running, tls
from andromede.ops.layout import Layout
from andromede.sovereignty import policies, witness_keys
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.verifier.report import KIND_NAMES
from andromede.sovereignty.witness_circle import peers
from andromede.sovereignty.witness_evidence import refusals
from andromede.sovereignty.witness_server import TrustedLogs
from andromede.sovereignty.witness_status import overview

DEFAULT_LISTEN = "127.0.0.1:8702"


@dataclass(frozen=True, slots=True)
class Home:
    """Where a witness lives. `base` is None for one that stands alone."""

    place: Layout
    db: Database
    clock: Clock
    ids: Ids
    base: app.Base | None

    def change(self, action: str, what: str, work: Callable[[Tx], object]) -> None:
        """Change rows; on an installation the event of it is written in the same transaction."""
        with self.db.write() as tx:
            work(tx)
            if self.base is not None:
                who, now = f"operator:{getpass.getuser()}", request_id(self.ids)
                self.base.recorder.record(
                    tx, [Draft("", who, f"witness:{action}", what, now, purpose="OPERATOR_SYSTEM")]
                )

    def keys(self) -> witness_keys.WitnessKeys:
        """The keys of the witness that lives here."""
        return app.witness_keys(self.base) if self.base else witness_keys.read(app.witness_key_file(self.place))


def home(args: argparse.Namespace) -> Home:
    """The witness of the data directory. Raises `NotFound` when there is none."""
    place = common.layout(args)
    if place.exists():
        _, config = common.installed(args)
        if missing := app.pending_migrations(config):
            raise NotFound(f"the database lacks {len(missing)} migrations; run: andromede migrate", "migrate")
        base = app.Base.open(config, "operator")
        return Home(place, base.db, base.clock, base.ids, base)
    if not app.witness_database(place).exists():
        raise NotFound(
            f"neither an installation nor a witness is in {place.data}; begin a witness that stands alone with: "
            f"andromede witness --data {place.data}",
            "data",
        )
    alone = app.Alone.open(place)
    return Home(place, alone.db, alone.clock, alone.ids, None)


def _listener(args: argparse.Namespace, place: Layout) -> tuple[Config, str]:
    """(settings with the address, the URL that clients are told): TLS off loopback, unless a proxy does it."""
    server: dict[str, Any] = {"listen": args.listen or DEFAULT_LISTEN, "tls": bool(args.tls)}
    if args.behind_proxy:
        config = settings.load(place.data, {})
        config = replace(config, server=replace(config.server, listen=server["listen"]))
        listeners.parse(server["listen"])
    else:
        config = settings.load(place.data, {}, {"server": server})
    if args.behind_proxy and not args.url:
        raise Invalid("--behind-proxy needs --url: the https URL under which the proxy serves this witness", "config")
    return config, (args.url or "").rstrip("/")


def _prepare(place: Layout) -> None:
    if place.exists():
        raise Conflict(
            f"{place.data} holds an installation, which is a witness already while it runs; see: andromede witness key",
            "data",
        )
    place.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = {"witness.db", "keys", "tls", "andromede.toml", "lost+found"}
    strange = sorted(entry.name for entry in place.data.iterdir() if entry.name.partition("-")[0] not in known)
    strange = [name for name in strange if not name.startswith("witness.db")]
    if strange:
        raise Conflict(f"{place.data} holds other things ({', '.join(strange[:3])}); name a new directory", "data")


def run(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness`: runs until it is told to stop."""
    place = common.layout(args)
    config, url = _listener(args, place)
    os.umask(0o077)
    _prepare(place)
    listener = listeners.bind(config.server.listen)[0]
    address = listeners.address_of(listener, config.server.listen)
    alone = app.Alone.open(place)
    name = args.name or f"witness-{alone.ids.secret(6).hex()}"
    path = app.witness_key_file(place)
    if path.exists() and args.name and witness_keys.read(path).name != args.name:
        raise Conflict(
            f"the witness in {place.data} is {witness_keys.read(path).name}; its name is for life", "witness"
        )
    keys = witness_keys.ensure(path, name, alone.db, alone.ids, alone.clock.now_us())
    files, ca = ("", ""), None
    if config.server.tls:
        made = tls.ensure(place, [address.host], alone.clock, alone.ids)
        files, ca = (str(made.certificate), str(made.key)), str(made.ca)
    url = url or address.url(config.server.tls)

    def ready() -> None:
        out.result({"name": keys.name, "url": url, "vkeys": keys.vkeys, "ca": ca, "pid": os.getpid()})
        out.say(f"witness {keys.name} at {url}")
        for vkey in keys.vkeys:
            out.say(vkey)
        more = f" --ca {ca}" if ca else ""
        out.say(f"In an installation that it shall cosign: andromede witness trust {url}{more}")
        out.say("Here, with the URL of that installation: andromede witness trust URL --data " + str(place.data))

    app.serve_witness(alone, keys, (listener, files, url), ready)
    return table.OK


def key(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness key`: what to give to, and compare with, the other side."""
    here = home(args)
    keys, state = here.keys(), running.read(here.place) if here.base else None
    own = app.identity(here.base) if here.base else None
    out.result(
        {
            "name": keys.name,
            "vkeys": keys.vkeys,
            "url": state.api_url if state else None,
            "prefix": own.prefix if own else None,
            "keys": list(own.keys) if own else [],
        }
    )
    out.say(f"witness {keys.name}" + (f" at {state.api_url}" if state else ""))
    _say_keys([signer.verifier for signer in keys.signers], out)
    if own and own.prefix:
        out.say(f"logs below {own.prefix}")
        _say_keys([Verifier.parse(vkey) for vkey in own.keys], out)
        out.say("Every log has these two keys under its own name; their fingerprints are the same in every policy.")
    return table.OK


def say_fingerprints(keys: Sequence[Verifier], out: Output) -> None:
    """What people compare over another channel, one line a key."""
    for key in keys:
        out.say(f"  {KIND_NAMES[key.kind]:20} fingerprint {key.fingerprint}")


def _say_keys(keys: Sequence[Verifier], out: Output) -> None:
    say_fingerprints(keys, out)
    for key in keys:
        out.say(f"  {key}")


def list_all(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness list`: whom we cosign, and who cosigns us."""
    here = home(args)
    now = here.clock.now_us()
    trusts = [
        {"name": row[0], "url": row[2], "added": iso_second(row[3]), "logs": row[4],
         "age_seconds": (now - row[5]) // US if row[5] else None}
        for row in store.trusts(here.db)
    ]  # fmt: skip
    refused = [{"origin": row[1], "at": iso_second(row[2])} for row in store.evidence(here.db)]
    found = overview(here.db, now, here.base.config.ledger.private_witnesses) if here.base else None
    out.result({"cosigns": trusts, "refused": refused, "cosigned_by": found})
    out.say("We cosign the logs of:" if trusts else "We cosign nobody's logs. Begin with: andromede witness trust URL")
    if trusts:
        out.table(
            ("name", "logs", "newest", "url"), [(row["name"], row["logs"], _age(row), row["url"]) for row in trusts]
        )
    if refused:
        out.say(f"{len(refused)} signed checkpoints that extend nothing were refused; see: andromede witness evidence")
    if found is not None:
        out.say()
        out.say("Our logs are cosigned by:" if found["asked"] else found["text"])
        heads = ("witness", "run by", "logs", "newest", "url", "failing")
        if found["asked"]:
            out.table(heads, [(row["name"], row["run_by"] or "?", row["logs"], _age(row), row["url"], row["error"])
                              for row in found["asked"]])  # fmt: skip
    return table.OK


def _age(row: dict[str, Any]) -> str:
    return "never" if row["age_seconds"] is None else f"{span(row['age_seconds'])} ago"


def evidence(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness evidence [-o DIR]`: exit code 4 when anything was refused."""
    here = home(args)
    found = refusals(here.db, TrustedLogs(here.db))
    if args.output:
        folder = Path(args.output)
        folder.mkdir(parents=True, exist_ok=True)
        for one in found:
            (folder / one.name).write_text(json.dumps(one.document, indent=1) + "\n")
    shown = [{"origin": one.origin, "at": iso_second(one.at_us), "verdict": one.verdict.kind, "text": one.verdict.text,
              "file": one.name, "document": one.document} for one in found]  # fmt: skip
    out.result({"refused": shown})
    for one in found:
        out.say(f"{iso_second(one.at_us)} {one.origin}: {one.verdict.kind}: {one.verdict.text}")
    if found and not args.output:
        out.say("Write it to files with -o DIR; anybody can judge them: andromede-verify contradiction FILE --policy P")
    if not found:
        out.say("this witness refused nothing that a log signed")
    return table.FINDINGS if found else table.OK


def remove(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness remove NAME`: by installation, origin, name of a witness, or URL."""
    here, given = home(args), args.name.rstrip("/")
    rules = [row[0] for row in store.trusts(here.db) if row[0] in (given, given + "/")]
    known = peers(here.db) if here.base else {}
    urls = [url for url, peer in known.items() if given in (url, peer.name) or peer.name == f"{given}/witness"]
    names = {known[url].name for url in urls}
    if here.base:
        policy = policies.parsed(here.db, policies.DEFAULT)
        names |= {name for name in policy.witnesses if given in (name, policy.urls.get(name, "").rstrip("/"))}

    def work(tx: Tx) -> None:
        for rule in rules:
            store.drop_trust(tx, rule)
        for name in names:
            policies.remove_witness(tx, policies.DEFAULT, name, here.clock.now_us())
        for url in urls:
            store.drop_peer(tx, url)

    if not rules and not names:
        raise NotFound(f"nothing here is called {args.name}; see: andromede witness list", "witness")
    here.change("remove", given, work)
    out.result({"no_longer_cosigned": rules, "no_longer_asked": sorted(names)})
    out.say("; ".join([*(f"we no longer cosign {rule}" for rule in rules),
                       *(f"{name} is no longer asked" for name in sorted(names))]))  # fmt: skip
    return table.OK


def resume(args: argparse.Namespace, out: Output) -> int:
    """`andromede witness resume ORIGIN`: compare with the witnesses again, after the cause was mended."""
    here = home(args)
    halted = [row for row in store.halts(here.db) if row[0] == args.origin]
    if not halted:
        raise NotFound(f"{args.origin} is not halted; see: andromede status", "witness")
    here.change("resume", args.origin, lambda tx: store.drop_halt(tx, args.origin))
    out.result({"origin": args.origin, "was": halted[0][2]})
    out.say(f"{args.origin} was halted because {halted[0][2]}")
    out.say("It is compared with its witnesses again before its next checkpoint, and halted again if nothing changed.")
    return table.OK


def read_ca(path: str | None) -> str:
    """The PEM text of a CA certificate. Raises `Invalid`."""
    if not path:
        return ""
    tls.load_certificate(Path(path))
    return Path(path).read_text()
