"""What all connections of one worker share."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from andromede.clock import Clock
from andromede.errors import Error, Fatal
from andromede.ids import Ids
from andromede.log import Log
from andromede.web.stream import render
from andromede.web.stream.limits import Limits
from andromede.web.stream.mailbox import Mailbox
from andromede.web.stream.message import Request, Response
from andromede.web.stream.ports import Access, AccessLog, Answerer, Committer
from andromede.web.stream.relay import Buffers
from andromede.web.stream.threads import Threads

if TYPE_CHECKING:
    from andromede.web.stream.link import Link


@dataclass(slots=True)
class Counters:
    """Figures for /metrics, counted on the loop's thread. Bytes are those of bodies."""

    requests: int = 0
    in_flight: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections: int = 0
    accepted: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the composition root hands to the edge."""

    answerer: Answerer
    committer: Committer
    clock: Clock
    ids: Ids
    log: Log
    limits: Limits = field(default_factory=Limits)
    access_log: AccessLog | None = None


class RequestIds:
    """`req-<uuid>` cut from blocks of random bytes: a system call each would cost more than parsing the request."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._block = ""
        self._at = 0

    def next(self) -> str:
        at = self._at
        if at >= len(self._block):
            self._block, at = self._ids.secret(4096).hex(), 0
        self._at = at + 32
        h = self._block[at : at + 32]
        return f"req-{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


class Core:
    """Shared state; touched on the loop's thread, except `explain`, `report` and the mailbox."""

    def __init__(self, parts: Parts, loop: asyncio.AbstractEventLoop, counters: Counters) -> None:
        limits = parts.limits
        self.loop = loop
        self.answerer = parts.answerer
        self.committer = parts.committer
        self.next_id = RequestIds(parts.ids).next
        self.limits = limits
        self.access_log = parts.access_log
        self.counters = counters
        self.clock = parts.clock
        self.mailbox = Mailbox(loop)
        self.threads = Threads(limits.threads, limits.upload_threads, limits.queued_jobs)
        self.buffers = Buffers(limits.buffer_bytes, limits.buffers_total)
        self.dated = render.Dated(parts.clock)
        self.scratch = bytearray(limits.head_bytes + limits.small_body + 4)
        self.scratch_view = memoryview(self.scratch)
        self.connections: set[Link] = set()
        self.idle_ticks = max(1, round(limits.idle_seconds / limits.tick_seconds))
        self.held = 0
        self.unsent = 0
        self.ticks = 0
        self.stopping = self.retiring = False
        self.scheme = "http"
        self._log = parts.log

    def ticks_for(self, seconds: float) -> int:
        """The tick at which a wait of so many seconds, begun now, has lasted too long."""
        return self.ticks + max(1, round(seconds / self.limits.tick_seconds))

    def explain(self, request: Request | None, error: BaseException) -> Response:
        """The dialect's answer to an error."""
        if not isinstance(error, Error) or isinstance(error, Fatal):
            self.report(request, error)
        try:
            return self.answerer.error(request, error)
        except Exception as second:
            self.report(request, second)
            return Response(500, [("Content-Type", "text/plain")], b"internal error\n")

    def refusal(self, fault: Error) -> tuple[bytes, bytes]:
        """Head and body of the answer to a request that could not be read; the connection closes after it."""
        response = self.explain(None, fault)
        body = response.body if isinstance(response.body, bytes) else b""
        try:
            return render.head(response, self.dated, len(body), True), body
        except (ValueError, TypeError, AttributeError) as error:
            return self.last_resort(None, error)

    def last_resort(self, request: Request | None, error: BaseException) -> tuple[bytes, bytes]:
        """Head and body when an answer cannot be written as the handler gave it."""
        self.report(request, error)
        body = b"" if request is not None and request.method == "HEAD" else b"internal error\n"
        plain = Response(500, [("Content-Type", "text/plain")], body)
        return render.head(plain, self.dated, len(body), True), body

    def report(self, request: Request | None, error: BaseException) -> None:
        """Log what nobody foresaw."""
        self._log.alert(
            "request failed",
            request_id=request.request_id if request is not None else "",
            method=request.method if request is not None else "",
            error=repr(error),
            cause=getattr(error, "cause", ""),
            trace="".join(traceback.format_exception(error)),
        )

    def cut(self, request: Request, error: Exception) -> None:
        """Log why an answer broke off after its head. What a tenant can bring about, as by deleting a segment of a
        large object, is no alert."""
        if isinstance(error, Error) and not isinstance(error, Fatal):
            self._log.event(
                "answer.cut",
                "warning",
                request_id=request.request_id,
                kind=error.kind,
                text=error.public,
                cause=error.cause,
            )
        else:
            self.report(request, error)

    def log_access(self, access: Access) -> None:
        """Tell the access log; its failure is not the client's."""
        try:
            if self.access_log is not None:
                self.access_log(access)
        except Exception as error:
            self.report(access.request, error)
