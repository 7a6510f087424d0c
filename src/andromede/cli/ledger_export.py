"""ledger export: whole logs, so that andromede-verify can recompute them offline and without the product."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from andromede.cli import ledger_books, table
from andromede.cli.ledger_books import Book
from andromede.cli.output import Output, Progress
from andromede.errors import Conflict, Invalid, NotFound

FORMAT = "andromede/export/v1"


def export(args: argparse.Namespace, out: Output) -> int:
    """`andromede ledger export`: one log into a directory, a .jsonl file or standard output; without --project or
    --cloud every log of this installation into directories of their own."""
    if args.cloud or args.project:
        with out.progress("entries") as progress:
            done = [_one(ledger_books.book(args), args.output, progress)]
    elif not args.output or args.output.endswith(".jsonl"):
        raise Invalid("every log needs a directory: -o DIR; or name one log with --project or --cloud", "config")
    else:
        with out.progress("entries") as progress:
            done = [
                _one(book, str(Path(args.output) / book.log.origin.replace("/", "-")), progress)
                for book in ledger_books.Local.open(args).books()
                if book.log.size
            ]
    if args.output:
        for row in done:
            out.say(f"{row['entries']} entries of {row['origin']} written to {row['place']}")
        out.say(f"Check them with: andromede-verify log {args.output if len(done) == 1 else args.output + '/...'}")
        out.result({"exports": done})
    return table.OK


def _one(book: Book, place: str | None, progress: Progress) -> dict[str, Any]:
    from andromede.ledger.note import checkpoint_fields, split_note

    note, policy = book.checkpoint(), book.policy()
    origin, size, _ = checkpoint_fields(split_note(note)[0])
    with _sink(place, note, policy) as file:
        count = 0
        for line in book.lines(size):
            json.dump(line, file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n")
            count += 1
            progress.step()
    if count != size:
        raise NotFound(f"{origin} gave {count} of the {size} entries of its checkpoint: run andromede fsck", "ledger")
    return {"origin": origin, "entries": count, "place": place}


def _private(path: Path) -> IO[str]:
    """A new file that only its owner reads: exports are as confidential as the events."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    return os.fdopen(fd, "w", encoding="utf-8", newline="\n")


@contextmanager
def _sink(place: str | None, note: str, policy: str) -> Iterator[IO[str]]:
    """Where the lines go; checkpoint and policy are written first."""
    if place and not place.endswith(".jsonl"):
        folder = Path(place)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Conflict(f"{place} cannot be made: {error.strerror}; name a directory", "output") from error
        (folder / "checkpoint").write_text(note)
        (folder / "policy").write_text(policy)
        with _private(folder / "log.jsonl") as file:
            yield file
        return
    head = json.dumps({"format": FORMAT, "checkpoint": note, "policy": policy}, ensure_ascii=False)
    if place:
        with _private(Path(place)) as file:
            file.write(head + "\n")
            yield file
    else:
        sys.stdout.write(head + "\n")
        yield sys.stdout
        sys.stdout.flush()
