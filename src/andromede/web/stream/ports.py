"""What the edge needs from others: an answerer, a committer, and a place for its access log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from andromede.web.stream.message import Commit, Outcome, Request, Response


class Answerer(Protocol):
    """The dialects behind the edge."""

    def express(self, request: Request) -> Response | Commit[Any] | None:
        """The answer to a plain request whose body is in memory, at once on the loop's thread. None, with nothing
        done: ask `quick` and `handle`."""

    def quick(self, request: Request) -> bool:
        """Whether `handle` may run on the loop's thread: body in memory, no slow look-up. Must be cheap itself."""

    def handle(self, request: Request) -> Response | Commit[Any]:
        """Answer, or ask for a commit. Runs on the loop's thread or on a pool thread."""

    def error(self, request: Request | None, error: BaseException) -> Response:
        """Render a failure in the dialect. `request` is None when the head could not be read.

        Faults of the edge itself carry `status` (`faults.BadRequest`, `faults.Overloaded`).
        """


class Done(Protocol):
    """Takes the outcome of one commit, on any thread, exactly once."""

    def __call__(self, outcome: Outcome) -> None: ...


class Committer(Protocol):
    """Group commit. `submit` never blocks; it may raise `errors.Unavailable` when its queue is full."""

    def submit(self, commit: Commit[Any], done: Done) -> None: ...


@dataclass(slots=True)
class Access:
    """One finished request for the access log; sizes in bytes (bodies only), duration in seconds."""

    request: Request
    status: int
    bytes_in: int
    bytes_out: int
    seconds: float
    aborted: bool


AccessLog = Callable[[Access], None]


class Wakes(Protocol):
    """Where outcomes wait for the loop."""

    def wake(self) -> None: ...


def done_many(outcomes: Iterable[tuple[Done, Outcome]]) -> None:
    """Report the outcomes of one group commit with one wake-up of each loop concerned."""
    boxes: set[Wakes] = set()
    for done, outcome in outcomes:
        post: Callable[[Outcome], Wakes] | None = getattr(done, "post", None)
        if post is None:
            done(outcome)
        else:
            boxes.add(post(outcome))
    for box in boxes:
        box.wake()
