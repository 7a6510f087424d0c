"""Every command as data: the parser, the shell completions and the reference are made from it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument in the words of `argparse.add_argument`."""

    names: tuple[str, ...]
    help: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """`run` is `module:function` under `andromede.cli`; a group has `commands` instead, or besides."""

    name: str
    help: str
    run: str = ""
    arguments: tuple[Argument, ...] = ()
    commands: tuple[Command, ...] = ()
    detail: str = ""


def _arg(*names: str, help: str, **options: Any) -> Argument:
    return Argument(names, help, options)


def _natural(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


COMMON = (
    _arg("--data", help="data directory (default: $ANDROMEDE_DATA or andromede in the user's data directory)",
         metavar="DIR"),
    _arg("--json", help="print one JSON document instead of text", action="store_true"),
)  # fmt: skip

_LISTEN = _arg("--listen", help="address of the API port (default 127.0.0.1:8700; port 0: any free one)",
               metavar="HOST:PORT")  # fmt: skip
_OBJECTS = _arg("--objects", help="address of the object port (default 127.0.0.1:8701; port 0: any free one)",
                metavar="HOST:PORT")  # fmt: skip
_TLS = _arg("--tls", help="serve over TLS, with a local authority made in DIR/tls unless the settings name "
            "certificates", action="store_true", default=None)  # fmt: skip
_DEEP = _arg("--deep", help="also read and authenticate every stored byte", action="store_true")
_KEY = _arg("key", help="key id, or a prefix of it that names one key", metavar="KEY")
_YES = _arg("--yes", help="do not ask", action="store_true")
_COUNT = _arg("-n", "--count", help="how many events (default 20)", type=_natural, default=20, metavar="N")
_CLOUD = _arg("--cloud", help="ask the cloud of that name in DIR/clouds.yaml over the API, with the rights of its user",
              metavar="NAME")  # fmt: skip
_PROJECT_ID = _arg("--project", help="only what concerns this project id", metavar="ID")
_PROJECT = _arg(
    "--project", help="this project: id or name (with --cloud its id), or `installation`", metavar="PROJECT"
)

_POLICY = _arg("--policy", help="your policy file: whose signatures you ask for (default: the one that the cloud or "
               "this installation gives)", metavar="FILE")  # fmt: skip

COMMANDS: tuple[Command, ...] = (
    Command("up", "initialise if needed, start everything, print where it is", "up:up", (
        _LISTEN, _OBJECTS, _TLS,
        _arg("--detach", help="return as soon as the cloud is ready and leave it running", action="store_true"),
    )),
    Command("down", "stop a running cloud and wait until it has ended", "up:down", (
        _arg("--timeout", help="seconds before processes are killed (default 40)", type=float, default=40.0,
             metavar="SECONDS"),
    )),
    Command("restart", "replace every process by the program and the settings of now, without refusing a request",
            "restart:restart", (
                _arg("--timeout", help="seconds to wait for the end (default 300)", type=float, default=300.0,
                     metavar="SECONDS"),
            ), detail="After a change of settings or certificates, or after installing a release that leaves the "
                      "database as it is. The new program is tried first: what it refuses changes nothing. Addresses, "
                      "the number of object workers, TLS on or off, and storage change by down and up only."),
    Command("status", "what runs, where, and what an operator should know", "status:status"),
    Command("doctor", "check this machine and installation; each finding comes with the command that mends it",
            "doctor:doctor"),
    Command("serve", "run one role in the foreground, for several machines on one database", commands=(
        Command("api", "the API port: identity and the services", "serve:api", (_LISTEN, _TLS)),
        Command("objects", "the object port: S3 and Swift, one process per worker", "serve:objects",
                (_OBJECTS, _TLS)),
    )),
    Command("work", "run the background worker in the foreground", "serve:work"),
    Command("check-config", "check all settings and print their values with their origin", "config:check"),
    Command("fsck", "prove the stored data whole: rows, bytes, keys and counters agree", "store:fsck", (
        _DEEP,
        _arg("--host", help="also name networks, guests and disks on this machine that no row accounts for (as root)",
             action="store_true"),
    )),
    Command("backup", "write a consistent copy of the running installation", "store:backup", (
        _arg("dest", help="new directory for the backup", metavar="DEST"),
        _arg("--key-file", help="where the backup's key goes (default: DEST.key, beside it)", metavar="FILE"),
        _arg("--without-disks", help="leave out disks of servers, volumes and snapshots", action="store_true"),
    ), detail="The keys of the installation are wrapped by a fresh key that is written to the key file. Without that "
              "file the backup cannot be opened: keep it apart from the backup. Disks are copied while servers run, as "
              "they would be found after a loss of power. Exit code 4: what could not be copied is named, the rest is "
              "whole."),
    Command("restore", "make an installation from a backup, in an empty directory, and check it", "store:restore", (
        _arg("src", help="directory of the backup", metavar="SRC"),
        _arg("--key-file", help="the backup's key (default: SRC.key, beside it)", metavar="FILE"),
        _arg("--database", help="restore into this empty PostgreSQL database", metavar="DSN"),
    )),
    Command("migrate", "bring the database to this program's schema; a snapshot is taken first", "store:migrate", (
        _arg("--check", help="only say what would be done; exit code 4 if anything", action="store_true"),
        _arg("--back", help="put the newest snapshot (or FILE) in the place of the database, for the former release; "
             "what was written since is put aside", nargs="?", const="", default=None, metavar="FILE"),
    )),
    Command("explain", "why: a request by its id, or who may do what", "explain:explain", (
        _arg("words", help="REQUEST_ID, or: access USER ACTION [RESOURCE], or: access (the whole table)", nargs="+",
             metavar="REQUEST_ID|access"),
    )),
    Command("ledger", "the witnessed ledger: who did what with whose data, and the proof of it", commands=(
        Command("status", "logs, checkpoints, witnesses, sources and gaps", "ledger:status", (_PROJECT, _CLOUD)),
        Command("tail", "the newest events, with their places in the logs", "ledger:tail", (
            _COUNT, _PROJECT, _CLOUD, _arg("-f", "--follow", help="go on printing as events come", action="store_true"),
            _arg("--all", help="also the ledger.pad events, which fill places that no request used (--json shows them "
                 "always)", action="store_true"),
        )),
        Command("receipt", "the receipt of an event: proof that it stands in the log", "ledger_receipt:receipt", (
            _arg("which", help="index or request id, or the two words of an Andromede-Ledger header",
                 nargs="*", metavar="INDEX|REQUEST_ID"),
            _arg("--request", help="request id", metavar="REQUEST_ID"), _PROJECT, _CLOUD,
            _arg("-o", "--output", help="file (default: standard output)", metavar="FILE"),
            _arg("--wait", help="wait until the quorum of the log's policy has signed, not just for a checkpoint",
                 action="store_true"),
        ), detail="The file proves itself: it carries the event. It is as confidential as the event."),
        Command("policy", "whose signatures a log asks for: its keys, witnesses and quorum", "ledger_policy:policy", (
            _PROJECT, _CLOUD, _arg("-o", "--output", help="file (default: standard output)", metavar="FILE"),
        ), detail="Take it when you begin, compare the keys over another channel, and verify with it ever after."),
        Command("erase", "remove the content of one event for good, as a manager of its project",
                "ledger_receipt:erase", (
            _arg("index", help="index of the event", metavar="INDEX"),
            _arg("--cloud", help="the cloud of that name in DIR/clouds.yaml (default: andromede)", default="andromede",
                 metavar="NAME"), _YES,
        ), detail="For personal data. The event's hash stays in the log, so that every other receipt stays valid."),
        Command("renew", "begin new logs in the place of those that may not be signed any more",
                "ledger_renew:renew", (
            _arg("reason", help="what happened, for the events that tell of it", metavar="REASON"),
            _arg("--project", help="this one only: project id or name, origin, or `installation`", metavar="PROJECT"),
            _YES,
        ), detail="For a database that was put back and whose newer state is lost. The old logs end and stay as "
                  "evidence; the new ones have other origins, begin with the events that are here, and tell of it."),
        Command("verify", "what receipts, checkpoints and exports prove, in plain words", "ledger_receipt:verify", (
            _arg("file", help="receipt, checkpoint, or export (directory or .jsonl)", nargs="+", metavar="FILE"),
            _POLICY, _PROJECT, _CLOUD,
        ), detail="Exit codes: 0 all proven, 1 not proven, 2 unreadable or no policy to judge by. The same without the "
                  "product: andromede-verify, from GET /sovereignty/v1/andromede-verify."),
        Command("monitor", "follow a log from the tenant's side, trusting nobody, and alert on contradictions",
                "ledger_monitor:monitor", (
            _arg("--cloud", help="the cloud of that name in DIR/clouds.yaml, or in the file that "
                 "$OS_CLIENT_CONFIG_FILE names", metavar="NAME"),
            _arg("--url", help="address of the API port, or of its /sovereignty", metavar="URL"),
            _arg("--token-file", help="file with a token for --url, read anew for each request", metavar="FILE"),
            _arg("--cacert", help="certificate authority of the cloud", metavar="FILE"),
            _arg("--log", help="project id, 16 hex digits of an origin, or `installation` (default: the log of the "
                 "credential's project)", metavar="LOG"),
            _arg("--all", help="every log of the installation, and whether they hold every number of every source "
                 "(for auditors)", action="store_true"),
            _arg("--policy", help="your policy file: pinned in the place of the server's", metavar="FILE"),
            _arg("--state", help="folder of the monitor's memory and evidence (default: one for each log below "
                 "$XDG_STATE_HOME/andromede/monitor)", metavar="DIR"),
            _arg("--once", help="one round, for cron and timers", action="store_true"),
            _arg("--interval", help="seconds between rounds (default 60)", type=float, default=60.0, metavar="S"),
            _arg("--keep", help="keep a copy of every event in events.jsonl", action="store_true"),
            _arg("--journal", help="your own list of promised receipts: JSON lines with `ledger` (the header's value) "
                 "and `request_id`", metavar="FILE"),
            _arg("--exec", help="run this with new findings as JSON on its standard input", metavar="COMMAND"),
            _arg("--fresh", help="hours after which a cosignature is stale (default 24)", type=float, default=24.0,
                 metavar="H"),
            _arg("--lag", help="seconds until a checkpoint must cover a position (default 60)", type=float,
                 default=60.0, metavar="S"),
            _arg("--witness-lag", help="seconds until a quorum must have signed a checkpoint (default 60)",
                 type=float, default=60.0, metavar="S"),
        ), detail="Exit codes of its own: 0 fine; 1 a contradiction or a failed proof, with an evidence file; 2 wrong "
                  "usage or trouble on this side; 3 silent, late, stale or unwitnessed. See docs/monitor.md."),
        Command("export", "write whole logs, for andromede-verify to recompute offline", "ledger_export:export", (
            _PROJECT, _CLOUD,
            _arg("-o", "--output", help="directory, or a file that ends in .jsonl (default: standard output)",
                 metavar="PLACE"),
        ), detail="Checkpoint, policy, every entry, and every event with its salt: as confidential as the events. "
                  "Without --project and --cloud every log of this installation goes into a directory of its own."),
    )),
    Command("witness", "run a witness that stands alone, or say who witnesses whom", "witness:run", (
        _arg("--listen", help="address of a witness that stands alone (default 127.0.0.1:8702)", metavar="HOST:PORT"),
        _TLS,
        _arg("--name", help="name of a new witness (default: a random one)", metavar="NAME"),
        _arg("--url", help="URL under which others reach it", metavar="URL"),
        _arg("--behind-proxy", help="a proxy before it does TLS: any address may be listened on without",
             action="store_true"),
    ), commands=(
        Command("trust", "cosign the logs of another installation, and let its witness cosign ours",
                "witness_trust:trust", (
                    _arg("url", help="URL of its API port, or of its witness", nargs="?", metavar="URL"),
                    _arg("--vkey", help="key of a witness of another make at URL, or of the log --origin; repeatable",
                         action="append", metavar="VKEY"),
                    _arg("--origin", help="cosign this one log of another make", metavar="ORIGIN"),
                    _arg("--ca", help="CA certificate of the other side, if it is not a public one", metavar="FILE"),
                    _arg("--run-by", help="who runs it, for status", metavar="WHO"),
                    _arg("--replace", help="accept that its keys changed", action="store_true"),
                ), detail="With the same command on the other side, two installations witness each other."),
        Command("list", "whom we cosign, and who cosigns us", "witness:list_all"),
        Command("key", "name and keys, to give to the other side or to compare", "witness:key"),
        Command("evidence", "what a log signed and this witness refused to cosign, as proofs for others",
                "witness:evidence", (
                    _arg("-o", "--output", help="write each as a file there, for andromede-verify contradiction",
                         metavar="DIR"),
                )),
        Command("remove", "cosign no longer, ask no longer", "witness:remove", (
            _arg("name", help="installation, origin, name of a witness, or URL", metavar="NAME"),)),
        Command("resume", "compare a halted log with its witnesses again", "witness:resume", (
            _arg("origin", help="origin of the log", metavar="ORIGIN"),),
            detail="A log is halted when a witness shows that more, or something else, was signed before: the "
                   "database was rolled back, or a second server signs. Put the newest database back, or end the "
                   "second server; then resume. As long as nothing changed it is halted again."),
    ), detail="Without a word after it: run a witness in DIR, without an installation. Every running installation is "
              "a witness already, at its API port."),
    Command("keys", "the key tree: who holds what, and its life", commands=(
        Command("list", "keys by level, tenant and state", "keys:list_keys", (
            _PROJECT_ID, _arg("--level", help="only this level: tenant, container or named", metavar="LEVEL"),
        )),
        Command("show", "one key", "keys:show", (_KEY,)),
        Command("create", "make a key for SSE-KMS, or a project's own key before its first use", "keys:create", (
            _arg("project", help="project id or name", metavar="PROJECT"),
            _arg("--name", help="name that the project uses in SSE-KMS headers", metavar="NAME"),
        )),
        Command("disable", "stop every use of a key and of those below it", "keys:disable", (_KEY,)),
        Command("enable", "allow use again", "keys:enable", (_KEY,)),
        Command("rotate", "make a new version; existing keys below it are wrapped again", "keys:rotate", (_KEY,)),
        Command("rotate-tokens", "new keys for tokens and for stored EC2 and TOTP secrets; running processes follow",
                "keys:rotate_tokens"),
        Command("destroy", "destroy a key: what it protects can never be read again", "keys:destroy", (_KEY, _YES)),
    )),
    Command("images", "guest images built on this machine from Debian packages", commands=(
        Command("build", "build guest images that are not there yet, and say where they lie", "images:build", (
            _arg("image", help="tiny, debian-12", nargs="+", metavar="IMAGE"),
            _arg("--cache", help="folder of built images (default: hosting.image_cache, or DIR/images-built)",
                 metavar="FOLDER"),
            _arg("--fresh", help="build again from the packages of today", action="store_true"),
        )),
    )),
    Command("host", "this machine as a host of guests", commands=(
        Command("clear", "end every guest and remove every network of a stopped installation from this machine",
                "host:clear", (_YES,),
                detail="Guests and networks outlive the program: `down` leaves them running. Clear them before the "
                       "data directory is removed, or the machine gets another use. Rows, disks and volumes stay."),
    )),
    Command("recover-admin", "new passwords for admin and demo, and new client files, when these are lost",
            "recover:recover", (_YES,)),
    Command("support-bundle", "write a redacted archive for support: settings, versions, log, status, no data",
            "support:bundle", (
                _arg("-o", "--output", help="file (default: andromede-support.tar.gz in this directory)",
                     metavar="FILE"),
            )),
    Command("bench", "measure this installation over its own ports, and the limits of its machine", "bench:bench", (
        _arg("--size", help="size of small objects: bytes, or with K, M (default 4K)", default="4K", metavar="SIZE"),
        _arg("--large", help="size of large objects (default 16M, at most 64M)", default="16M", metavar="SIZE"),
        _arg("--connections", help="parallel connections (default 16; at most 4 for large objects and tokens)",
             type=int, default=16, metavar="N"),
        _arg("--seconds", help="length of each load (default 2)", type=float, default=2.0, metavar="S"),
        _arg("--only", help="of put, get, head, mixed, list, delete, put-large, get-large, multipart, issue, validate "
             "(default: all)", metavar="LOADS"),
    ), detail="Makes a bucket of its own in the project of s3.env and removes it with all that is in it. Takes about "
       "half a minute."),
    Command("reference", "print the reference of all commands and settings as Markdown", "reference:reference"),
    Command("completion", "print a shell completion script", "completion:completion", (
        _arg("shell", help="the shell", choices=("bash", "zsh", "fish")),
    )),
    Command("version", "print the version", "config:version"),
)  # fmt: skip

EXIT_CODES = (
    (0, "done"),
    (1, "failed: the message says what, why and what to do next"),
    (2, "the command line or the settings are wrong"),
    (3, "nothing runs on this data directory"),
    (4, "a check found something"),
    (5, "not part of this release"),
    (130, "interrupted"),
)
OK, FAILED, USAGE, NOT_RUNNING, FINDINGS, NOT_YET, INTERRUPTED = (code for code, _ in EXIT_CODES)
