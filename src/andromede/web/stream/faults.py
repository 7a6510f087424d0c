"""What the edge itself refuses. Dialects render these by `status` and `reason`."""

from __future__ import annotations

from andromede.errors import Invalid, Unavailable


class BadRequest(Invalid):
    """The bytes are not a request this edge accepts (RFC 9112); the connection closes after the answer.

    `status` is 400, 408 (head or body too slow), 431 (head too large) or 505 (version).
    """

    def __init__(self, public: str, status: int = 400) -> None:
        super().__init__(public, "http")
        self.status = status


class Overloaded(Unavailable):
    """A bound of `Limits` is reached: 503 with `Retry-After`."""

    status = 503

    def __init__(self, public: str, retry_after: int = 1) -> None:
        super().__init__(public, "overload", retry_after=retry_after)
        self.retry_after = retry_after


class ShortBody(Invalid):
    """The client closed, stalled or broke its framing before the body's end: nothing of it may be stored."""

    def __init__(self, public: str = "short body: the connection ended before the whole body arrived") -> None:
        super().__init__(public, "short_body")


class NotQuick(Exception):
    """A handler on the loop's thread found that the request is no small matter: it is handled again, on a thread.

    Raised before anything was done or recorded, only where `Request.inline` is set."""


class Slow(Exception):
    """The client has not read for a while; `rest` is still to be sent once the channel can be written again."""

    def __init__(self, rest: memoryview) -> None:
        super().__init__("the client does not read")
        self.rest = rest


class Gone(Exception):
    """The client's connection is lost while an answer is being sent."""
