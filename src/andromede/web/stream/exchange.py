"""One request and its answer: where the handler runs, and how the answer gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from andromede.errors import Fatal
from andromede.web.stream import render
from andromede.web.stream.body import StreamBody
from andromede.web.stream.channel import Channel
from andromede.web.stream.faults import NotQuick, Overloaded
from andromede.web.stream.head import Head
from andromede.web.stream.mailbox import Mailbox
from andromede.web.stream.message import Commit, Request, Response
from andromede.web.stream.ports import Access
from andromede.web.stream.sending import Framing, Sending, Sent, close_body

if TYPE_CHECKING:
    from andromede.web.stream.connection import Connection
    from andromede.web.stream.core import Core


class Exchange:
    """The life of one request. It is also the `Done` that a committer calls.

    Methods run on the loop's thread, except `__call__`, `post` (any thread) and `_in_thread`, `_stream` (pool).
    """

    __slots__ = ("_connection", "_core", "_open", "channel", "head", "parked", "request", "started")

    def __init__(self, core: Core, connection: Connection, head: Head, request: Request) -> None:
        self._core = core
        self._connection = connection
        self._open = True
        self.head = head
        self.request = request
        self.channel: Channel | None = None
        self.parked = False
        self.started = core.loop.time()

    # --- outcomes from other threads

    def __call__(self, outcome: Any) -> None:
        self.post(outcome).wake()

    def post(self, outcome: Any) -> Mailbox:
        """Queue the outcome; the caller wakes the mailbox."""
        self._core.mailbox.put(self.settle, outcome)
        return self._core.mailbox

    # --- loop

    def start(self) -> None:
        """Have the request handled, here or on a thread."""
        request = self.request
        outcome: Any = None
        if request.body.buffered:
            try:
                outcome = self._core.answerer.express(request)
                if outcome is None and self._quick():
                    outcome = self._handled_here()
            except Exception as error:
                outcome = error
        if outcome is None:
            self._connection.when_drained(self._offload)
            return
        try:
            self.settle(outcome)
        finally:
            del outcome  # an error holds this frame by its traceback: without this, a cycle for the collector

    def _handled_here(self) -> Any:
        """What a quick handler says, or None when it needs a thread after all."""
        request = self.request
        request.inline = True
        try:
            outcome: Any = self._core.answerer.handle(request)
        except NotQuick:
            request.inline = False
            return None
        if type(outcome) is Response and type(outcome.body) is not bytes:
            return self._gathered(outcome)
        return outcome

    def settle(self, outcome: Any) -> None:
        """Take what the handler, the committer or a sending thread has come to."""
        if type(outcome) is Response:
            if self._open:
                self._respond(outcome)
            return
        if not self._open:
            return
        if isinstance(outcome, Commit):
            try:
                self._core.committer.submit(outcome, self)
                return
            except Exception as error:
                outcome = error
        if isinstance(outcome, Sending):
            self._park(outcome)
            return
        if not isinstance(outcome, Response | BaseException | Sent):
            try:
                outcome = outcome()
            except Exception as error:
                outcome = error
        if isinstance(outcome, BaseException):
            outcome = self.explain(outcome)
        if isinstance(outcome, Sent):
            self._finish(outcome.status, outcome.size, outcome.whole, outcome.close)
        else:
            self._respond(outcome)

    def lost(self) -> None:
        """The connection is gone; whoever works on the request finds out when it next touches it."""
        if self.channel is not None:
            self.channel.shut()

    def explain(self, error: BaseException) -> Response:
        """The dialect's answer to an error; what nobody foresaw goes to the log with its trace."""
        return self._core.explain(self.request, error)

    def _quick(self) -> bool:
        try:
            return self._core.answerer.quick(self.request)
        except Exception as error:
            self._core.report(self.request, error)
            return False

    def _gathered(self, response: Response) -> Response:
        """A short body in one piece: what a quick handler made is not worth a thread."""
        if response.length is None or response.length > self._core.limits.small_body:
            return response
        if render.bodyless(self.request.method, response.status):
            return response
        try:
            body = b"".join(response.body)  # type: ignore[arg-type]
        finally:
            close_body(response.body)
        if len(body) != response.length:
            raise Fatal(f"the answer has {len(body)} of its declared {response.length} bytes")
        return Response(response.status, response.headers, body)

    def _offload(self) -> None:
        self.channel = self.channel or self._connection.open_channel()
        if not self._core.threads.submit(self._in_thread, not self.request.body.buffered):
            self.settle(Overloaded("too many requests wait for a thread; try again shortly"))

    def _respond(self, response: Response) -> None:
        body = response.body
        length = len(body) if isinstance(body, bytes) else response.length
        if render.bodyless(self.request.method, response.status):
            if not isinstance(body, bytes):
                close_body(body)
            if response.length is not None:
                length = response.length
            if response.status < 200 or response.status == 204 or self.request.method != "HEAD":
                length = None
            body = b""
        elif not isinstance(body, bytes):
            self._connection.when_drained(lambda: self._offload_answer(response))
            return
        size = len(body)
        close = self._must_close()
        try:
            head = render.head(response, self._core.dated, length, close)
        except (ValueError, TypeError, AttributeError) as error:
            head, body = self._core.last_resort(self.request, error)
            size, close = len(body), True
        self._connection.write(head, body)
        self._finish(response.status, size, True, close)

    def _offload_answer(self, response: Response) -> None:
        self.channel = self.channel or self._connection.open_channel()

        def job() -> None:
            self(self._stream(response))

        if not self._core.threads.submit(job):
            close_body(response.body)
            self.settle(Overloaded("too many requests wait for a thread; try again shortly"))

    def _park(self, sending: Sending) -> None:
        """The client does not read: wait for it here instead of on a thread."""
        assert self.channel is not None

        def go_on() -> None:
            if self._core.threads.submit(lambda: self(sending.step() or sending)):
                self.parked = False
            else:
                self._core.loop.call_later(1.0, go_on)

        self.parked = True
        self._connection.touch()
        self.channel.when_writable(go_on)

    def _must_close(self) -> bool:
        """Whether the connection cannot serve another request after this answer."""
        core = self._core
        if not self.head.keep_alive or core.stopping or core.retiring or self._connection.half_closed:
            return True
        body = self.request.body
        if body.buffered or not isinstance(body, StreamBody) or body.unread == 0:
            return False
        return body.unread is None or body.uninvited or body.unread > core.limits.drain_bytes

    def _finish(self, status: int, size: int, whole: bool, close: bool) -> None:
        self._open = False
        body = self.request.body
        taken = body.taken if isinstance(body, StreamBody) else body.length or 0
        core = self._core
        counters = core.counters
        counters.bytes_in += taken
        counters.bytes_out += size
        counters.in_flight -= 1
        if core.access_log is not None:
            core.log_access(Access(self.request, status, taken, size, core.loop.time() - self.started, not whole))
        self._connection.finished(self, whole, close)

    # --- pool thread

    def _in_thread(self) -> None:
        try:
            outcome: Any = self._core.answerer.handle(self.request)
            body = self.request.body
            if isinstance(body, StreamBody):
                body.settle()
            if isinstance(outcome, Commit):
                self._core.committer.submit(outcome, self)
                return
            if isinstance(outcome, Response) and not isinstance(outcome.body, bytes):
                outcome = self._stream(outcome)
        except Exception as error:
            outcome = error
        try:
            self(outcome)
        finally:
            del outcome

    def _stream(self, response: Response) -> Any:
        """Send an answer in chunks: the outcome, or what is left to do once the client reads again."""
        if render.bodyless(self.request.method, response.status):
            return response
        chunked = response.length is None and not self.head.http10
        close = self._must_close()
        try:
            assert self.channel is not None
            head = render.head(response, self._core.dated, render.CHUNKED if chunked else response.length, close)
            sending = Sending(response, Framing(head, chunked, close), self.channel, self._cut)
            sending.begin()
        except Exception as error:
            close_body(response.body)
            return error
        return sending.step() or sending

    def _cut(self, error: Exception) -> None:
        self._core.cut(self.request, error)
