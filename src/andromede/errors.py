"""Kinds of error. No HTTP here: each dialect maps (kind, reason) to its status and code in one table."""

from __future__ import annotations

from typing import Any

RETRY_SECONDS = 2
"""What a client that is told to come back is told to wait, where nothing better is known."""


class Error(Exception):
    """A failure that a client may see.

    `public` says what failed, on what object, why, and what to do next. `reason` is a short stable
    word that dialects match on (`bucket`, `object`, `upload`, `password`, ...). `detail` holds
    structured facts for rendering; `cause` is private and goes to the log only.
    """

    kind = "error"

    def __init__(self, public: str, reason: str = "", *, cause: str = "", **detail: Any) -> None:
        super().__init__(public)
        self.public = public
        self.reason = reason
        self.cause = cause
        self.detail: dict[str, Any] = detail


class NotFound(Error):
    """The thing is not there, or the caller may not know that it is."""

    kind = "not_found"


class Conflict(Error):
    """The state of the object forbids the change."""

    kind = "conflict"


class Invalid(Error):
    """The request is malformed or breaks a rule of the interface."""

    kind = "invalid"


class Unauthenticated(Error):
    """No credential, or one that does not verify."""

    kind = "unauthenticated"


class Denied(Error):
    """A known caller without the right."""

    kind = "denied"


class OverQuota(Error):
    """A limit that the project or operator set."""

    kind = "over_quota"


class NoCapacity(Error):
    """The installation is full."""

    kind = "no_capacity"


class TooLarge(Error):
    """A body, page or name over its limit."""

    kind = "too_large"


class Precondition(Error):
    """A condition of the request does not hold."""

    kind = "precondition"


class Unavailable(Error):
    """A part is down or busy; the same call may succeed later."""

    kind = "unavailable"


class Unsupported(Error):
    """A known operation that this installation does not offer."""

    kind = "unsupported"


class Fatal(Error):
    """Stored state contradicts itself (a failed authentication tag, a missing blob): alert and stop."""

    kind = "fatal"
