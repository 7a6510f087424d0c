"""ledger policy: whose signatures a log asks for, to be noted while nobody has a reason to lie."""

from __future__ import annotations

import argparse
from pathlib import Path

from andromede.cli import ledger_books, table
from andromede.cli.output import Output
from andromede.ledger.policy import parse_policy
from andromede.ops.layout import private_write
from andromede.sovereignty.verifier.report import KIND_NAMES


def policy(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger policy`: the policy file of a log, to standard output or into a file."""
    text = ledger_books.book(args).policy()
    out.result({"file": args.output} if args.output else {"policy": text})
    if args.output:
        private_write(Path(args.output), text)
        out.say(f"{args.output}: compare its keys over another channel, then keep it")
        for key in parse_policy(text).logs:
            out.say(f"  {KIND_NAMES[key.kind]:20} fingerprint {key.fingerprint}")
        out.say(f"What it asks for, in words: andromede-verify policy {args.output}")
    elif not out.as_json:
        print(text, end="", file=out.out)
    return table.OK
