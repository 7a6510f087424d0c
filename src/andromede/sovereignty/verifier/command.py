"""The command line of `andromede-verify`: exit 0 proven, 1 not proven or contradicted, 2 usage or unreadable."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from andromede.ledger.note import BadNote
from andromede.sovereignty.verifier.checks import (
    check_certificate,
    check_checkpoint,
    check_growth,
    check_receipt,
    proof_of,
)
from andromede.sovereignty.verifier.contradiction import check_contradiction, evidence_of
from andromede.sovereignty.verifier.exported import check_export
from andromede.sovereignty.verifier.inputs import read_text
from andromede.sovereignty.verifier.report import Report, Unreadable, plain
from andromede.sovereignty.verifier.trust import Trust, trust_of
from andromede.sovereignty.verifier.wording import explain_policy

ABOUT = """Check what an Andromède ledger promised, offline and without the product.
It needs Python 3.9 or later and the package cryptography; ML-DSA-44 signatures need cryptography 50 or later
(with an older one, the Ed25519 signatures are checked and the output says what was not)."""
LIMITS = """PROVEN means: signed by the log's key and cosigned as YOUR policy asks. A log proves what was written,
not that everything was written. Exit status: 0 proven, 1 not proven or contradicted, 2 usage or unreadable."""
MAXIMUM_POLICY = 1 << 20


def _policy(name: str | None) -> Trust:
    if name is None:
        raise Unreadable("--policy FILE is wanted: which keys do you trust?")
    return trust_of(read_text(name, MAXIMUM_POLICY))


def _each(check: Callable[[str, str, Trust], Report], options: argparse.Namespace) -> list[Report]:
    trust = _policy(options.policy)
    return [check(name, read_text(name), trust) for name in options.files]


def _receipt(options: argparse.Namespace) -> list[Report]:
    return _each(check_receipt, options)


def _checkpoint(options: argparse.Namespace) -> list[Report]:
    return _each(check_checkpoint, options)


def _certificate(options: argparse.Namespace) -> list[Report]:
    return _each(check_certificate, options)


def _consistency(options: argparse.Namespace) -> list[Report]:
    names = (options.old, options.new, options.proof)
    texts = (read_text(options.old), read_text(options.new), read_text(options.proof))
    return [check_growth(names, texts, _policy(options.policy))]


def _log(options: argparse.Namespace) -> list[Report]:
    return [check_export(options.export, _policy(options.policy) if options.policy else None)]


def _explain(options: argparse.Namespace) -> list[Report]:
    return [explain_policy(options.file, trust_of(read_text(options.file, MAXIMUM_POLICY)))]


def _contradiction(options: argparse.Namespace) -> list[Report]:
    if options.second is not None:
        nodes = proof_of(read_text(options.proof), options.proof) if options.proof else []
        texts = (read_text(options.first), read_text(options.second))
        return [check_contradiction((options.first, options.second), texts, nodes, _policy(options.policy))]
    evidence = evidence_of(read_text(options.first), options.first)
    trust = _policy(options.policy) if options.policy or not evidence.policy else trust_of(evidence.policy)
    names = (f"{options.first} (first note)", f"{options.first} (second note)")
    report = check_contradiction(names, evidence.notes, evidence.nodes, trust)
    if options.policy or not report.proven:
        return [report]
    why = f"{report.verdict}, if the keys in this file are the log's: name the keys that you trust with --policy"
    return [replace(report, proven=False, verdict=why, lines=(*report.lines, *_keys(trust)))]


def _keys(trust: Trust) -> list[str]:
    return [f"key in the file: {str(key)[:160]}" for key in trust.policy.logs]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("andromede-verify", description=ABOUT, epilog=LIMITS)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], list[Report]], about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about, epilog=LIMITS)
        made.add_argument("--json", action="store_true", help="print one JSON object")
        made.set_defaults(run=run)
        if name != "policy":
            made.add_argument("--policy", metavar="P", help="your policy file: log and witness keys, quorum")
        return made

    for name, run, about in (
        ("receipt", _receipt, "check receipts (.tlog-proof files)"),
        ("checkpoint", _checkpoint, "check signed checkpoints"),
        ("certificate", _certificate, "check files of any kind that this verifier knows"),
    ):
        command(name, run, about).add_argument("files", nargs="+", metavar="FILE")
    growth = command("consistency", _consistency, "check that a log only grew between two checkpoints")
    for name in ("old", "new", "proof"):
        growth.add_argument(name, metavar=name.upper())
    command("log", _log, "recompute a whole exported log").add_argument("export", metavar="DIR|FILE")
    command("policy", _explain, "explain a policy in words").add_argument("file", metavar="FILE")
    two = command("contradiction", _contradiction, "prove from two signed statements that a log contradicted itself")
    two.add_argument("first", metavar="A", help="a checkpoint, a receipt, or (alone) a monitor's evidence file")
    two.add_argument("second", metavar="B", nargs="?")
    two.add_argument("--proof", metavar="FILE", help="for two sizes: a full consistency proof from the larger tree")
    return parser


def _print(reports: list[Report], as_json: bool) -> None:
    proven = all(report.proven for report in reports)
    if as_json:
        print(json.dumps({"proven": proven, "results": [report.json() for report in reports]}, ensure_ascii=True))
    else:
        print("\n".join(report.text() for report in reports))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Nothing that a file holds ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        reports = options.run(options)
        _print(reports, options.json)
        return 0 if all(report.proven for report in reports) else 1
    except (Unreadable, BadNote) as error:
        reason = plain(str(error))
    except KeyboardInterrupt:
        reason = "interrupted"
    except BrokenPipeError:
        sys.stderr.close()
        return 2
    except Exception as error:
        reason = f"this input is not understood ({type(error).__name__}): nothing is proven by it"
    if options.json:
        print(json.dumps({"proven": False, "error": reason}))
    print(f"andromede-verify: {reason}", file=sys.stderr)
    return 2
