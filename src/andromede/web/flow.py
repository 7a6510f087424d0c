"""Bodies that flow: from and to the connection's loop, one piece at a time, on the thread of a handler.

The thread asks the loop for the next piece, or hands it one, and waits: nothing is read ahead beyond what the server
keeps for each connection, so a slow side slows the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from concurrent.futures import CancelledError, Future
from typing import Any

from andromede.errors import Unavailable
from andromede.web.call import HttpResponse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
FLOWS = "andromede.flows"
"""In a connection's scope: what is called once somebody watches over the body's coming."""
STILL_SECONDS = 60.0
"""How long a client may keep still in the middle of a body."""
DRAINED = 4 << 20
DRAIN_SECONDS = 5.0
"""What of a refused body is read, so that the client comes to see the answer: so many bytes, for so long at most."""


class Bridge:
    """One streamed request. Its methods are for the handler's thread, but for `end`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, send: Send) -> None:
        self._loop = loop
        self._receive = receive
        self._send = send
        self._piece = memoryview(b"")
        self._more = True
        self._waiting: Future[Any] | None = None
        self._ended = False

    def end(self) -> None:
        """Nothing comes and goes any more: whoever waits for the client is told so at once."""
        self._ended = True
        if self._waiting is not None:
            self._waiting.cancel()

    def readinto(self, view: memoryview, /) -> int:
        """Bytes of the request's body as they come; 0 at its end."""
        while not self._piece and self._more:
            self._next()
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def _next(self, seconds: float | None = None) -> None:
        message = self._wait(_called(self._receive), seconds)
        if message["type"] == "http.disconnect":
            self._more = False
            raise Unavailable("the client has gone before its body was whole", "client")
        self._piece = memoryview(message.get("body", b""))
        self._more = bool(message.get("more_body"))

    def drain(self) -> bool:
        """Read what is left of a body that nobody wanted, up to limits; whether it came to its end."""
        count, end = len(self._piece), self._loop.time() + DRAIN_SECONDS
        try:
            while self._more and count < DRAINED:
                self._next(min(STILL_SECONDS, max(0.0, end - self._loop.time())))
                count += len(self._piece)
        except Unavailable:
            return False
        return not self._more

    def answer(self, response: HttpResponse, headers: list[tuple[bytes, bytes]], bodyless: bool) -> None:
        """Send a whole answer. Raises what its pieces raise: the connection must end then."""
        self._wait(_sent(self._send, {"type": "http.response.start", "status": response.status, "headers": headers}))
        pieces = iter([response.body]) if response.pieces is None else response.pieces
        left = asyncio.run_coroutine_threadsafe(_called(self._receive), self._loop)
        try:
            for piece in () if bodyless else pieces:
                if left.done() and left.result()["type"] == "http.disconnect":
                    raise Unavailable("the client has gone before its answer was whole", "client")
                self._wait(_sent(self._send, {"type": "http.response.body", "body": piece, "more_body": True}))
        finally:
            left.cancel()
        self._wait(_sent(self._send, {"type": "http.response.body", "body": b""}))

    def _wait(self, work: Coroutine[Any, Any, Any], seconds: float | None = None) -> Any:
        future = self._waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        if self._ended:
            future.cancel()
        most = STILL_SECONDS if seconds is None else seconds
        try:
            return future.result(most)
        except TimeoutError:
            future.cancel()
            raise Unavailable(f"the client kept still for more than {most:.0f} seconds", "client") from None
        except CancelledError:
            raise Unavailable("the server is ending", "client") from None


async def _called(receive: Receive) -> Message:
    return await receive()


async def _sent(send: Send, message: Message) -> None:
    await send(message)
