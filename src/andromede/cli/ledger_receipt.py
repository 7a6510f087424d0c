"""ledger receipt, ledger verify: an event's proof, and what a proof is worth."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.cli import common, ledger, ledger_books, table
from andromede.cli.ledger_books import Book, Given
from andromede.cli.output import Output
from andromede.clock import SystemClock
from andromede.db import open_database
from andromede.errors import Error, Invalid, NotFound, Unavailable
from andromede.ops.layout import private_write

if TYPE_CHECKING:
    from andromede.sovereignty.verifier.report import Report
    from andromede.sovereignty.verifier.trust import Trust

CHECKPOINT_SECONDS, QUORUM_SECONDS = 10.0, 120.0
_INDEX = re.compile(r"[0-9]{1,17}")


def receipt(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger receipt [ORIGIN] INDEX|REQUEST_ID`: to standard output, or into a file."""
    log, which = _asked(args)
    given = _await(_book(args, log, which), which, args.wait, out)
    if given.text is None:
        raise Unavailable(f"{given.reason}; see: andromede ledger status", "receipt")
    if args.output:
        private_write(Path(args.output), given.text)
        out.say(f"{args.output}: entry {given.index} of {given.origin}")
        out.say(f"Check it with: andromede ledger verify {args.output}")
    elif not out.as_json:
        print(given.text, end="", file=out.out)
    shown = {"origin": given.origin, "index": given.index}
    out.result({**shown, **({"file": args.output} if args.output else {"receipt": given.text})})
    return table.OK


def _asked(args: argparse.Namespace) -> tuple[str, str]:
    """(log or empty, index or request id) of the words on the command line."""
    words = [*args.which, *([args.request] if args.request else [])]
    if len(words) == 2 and "/" in words[0]:  # as the Andromede-Ledger header shows it
        return words[0], _checked(words[1])
    if len(words) != 1:
        raise Invalid("give one INDEX or REQUEST_ID, or the two words of the Andromede-Ledger header", "config")
    return "", _checked(words[0])


def _checked(which: str) -> str:
    if _INDEX.fullmatch(which) or which.startswith(("req-", "tx")):
        return which
    raise Invalid(f"{which!r} is neither an index nor a request id (req-..., or tx... of the Swift door)", "config")


def _book(args: argparse.Namespace, log: str, which: str) -> Book:
    if args.cloud or log or args.project or _INDEX.fullmatch(which):
        return ledger_books.book(args, log)
    _, config = common.installed(args)
    found = ledger.find(open_database(config.database_dsn), which)
    if not found:
        raise NotFound(f"request {which} left no event here", "request")
    return ledger_books.Local.open(args).book(str(found[0]["tenant"]) or "installation")


def _await(book: Book, which: str, wait: bool, out: Output) -> Given:
    """The receipt as soon as a checkpoint covers it; with `wait`, as soon as the quorum of the policy has signed."""
    clock = SystemClock()
    end = clock.monotonic() + (QUORUM_SECONDS if wait else CHECKPOINT_SECONDS)
    said = False
    while True:
        given = book.receipt(which, wait)
        if given.text is not None or clock.monotonic() > end:
            return given
        if wait and not said:
            out.note(f"waiting: {given.reason}")
            said = True
        clock.sleep(max(0.2, min(given.seconds, 5)))


def erase(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger erase INDEX --cloud NAME`: as a manager of the project."""
    from andromede.cli.remote import Remote

    if not out.as_json and not args.yes:
        out.say(f"The content of event {args.index} is removed for good. Its hash stays; other receipts stay valid.")
        if input("Type the index again to go on: ").strip() != args.index:
            raise Invalid("nothing was removed", "confirm")
    if not _INDEX.fullmatch(args.index):
        raise Invalid(f"{args.index!r} is not an index", "config")
    Remote(common.layout(args).clouds, args.cloud).fetch(f"{ledger_books.API}/events/{args.index}", "DELETE")
    out.result({"erased": int(args.index)})
    out.say(f"event {args.index} was removed; an event with the purpose ERASURE tells of it")
    return table.OK


def verify(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger verify FILE...`: exit code 0 all proven, 1 not, 2 unreadable or no policy to judge by."""
    from andromede.ledger.note import BadNote
    from andromede.sovereignty.verifier.report import Unreadable

    reports, unreadable = [], []
    for name in args.file:
        try:
            reports.append(_verdict(args, name))
        except (Unreadable, BadNote) as error:
            unreadable.append({"file": name, "error": str(error)})
    proven = not unreadable and all(report.proven for report in reports)
    out.result({"proven": proven, "results": [report.json() for report in reports], "unreadable": unreadable})
    for report in reports:
        out.say(report.text())
    for row in unreadable:
        out.note(f"andromede: {row['error']}")
    if unreadable:
        return table.USAGE
    return table.OK if proven else table.FAILED


def _verdict(args: argparse.Namespace, name: str) -> Report:
    """What one receipt, checkpoint or export proves under the policy that applies."""
    from andromede.sovereignty.verifier.checks import check_certificate
    from andromede.sovereignty.verifier.exported import check_export
    from andromede.sovereignty.verifier.inputs import read_text

    if Path(name).is_dir() or name.endswith(".jsonl"):
        return check_export(name, _trust(args, "") if args.policy else None)
    text = read_text(name)
    return check_certificate(name, text, _trust(args, _origin(text)))


def _origin(text: str) -> str:
    """The origin that a receipt or checkpoint names; nothing of it is trusted."""
    body = text.partition("\n\n")[2] if text.startswith("c2sp.org/tlog-proof@") else text
    return body.partition("\n")[0]


def _trust(args: argparse.Namespace, origin: str) -> Trust:
    """The policy to judge by: --policy, else the log's own as the cloud or this installation gives it."""
    from andromede.sovereignty.verifier.inputs import read_text
    from andromede.sovereignty.verifier.report import Unreadable
    from andromede.sovereignty.verifier.trust import trust_of

    if args.policy:
        return trust_of(read_text(args.policy))
    if "/" not in origin:
        raise Unreadable("the file names no log that this verifier knows; give your policy with --policy FILE")
    try:
        return trust_of(ledger_books.book(args, origin).policy())
    except Error as error:
        raise Unreadable(
            f"there is no policy to judge {origin[:80]!r} by ({error.public}); give yours with --policy FILE, "
            "for instance one that you kept from: GET /sovereignty/v1/policy"
        ) from error
