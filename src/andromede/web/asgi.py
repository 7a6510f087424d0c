"""The ASGI adapter of the API port: reads the whole body within its limit, runs the handler on a bounded
pool of threads, writes the answer."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from andromede.web.api import Api, Parts, headers_of
from andromede.web.call import HttpRequest, HttpResponse
from andromede.web.flow import FLOWS, Bridge, Message, Receive, Send

STREAMS = 16
"""Bodies that flow at a time; more wait for one of these to end."""


class AsgiApp:
    """An ASGI 3 application over `Api`, with a pool of threads, a smaller one for slow operations and one for bodies
    that flow."""

    def __init__(self, api: Api, threads: int, slow_threads: int) -> None:
        self.api = api
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._slow = ThreadPoolExecutor(slow_threads, thread_name_prefix="api-slow")
        self._flow = ThreadPoolExecutor(STREAMS, thread_name_prefix="api-flow")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._pool.shutdown(wait=True)
                self._slow.shutdown(wait=True)
                # not on the loop: whose body flows waits for the loop
                await asyncio.get_running_loop().run_in_executor(None, self._flow.shutdown)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        path = bytes(scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        loop = asyncio.get_running_loop()
        if self.api.is_streamed(scope["method"], path):
            if FLOWS in scope:
                scope[FLOWS]()
            bridge = Bridge(loop, receive, send)
            request = _request(scope, path, b"", stream=bridge)
            try:
                await loop.run_in_executor(self._flow, self._streamed, request, bridge)
            except asyncio.CancelledError:
                bridge.end()
                raise
            return
        body, oversized = await self._body(receive, self.api.max_body(path))
        if body is None:
            return
        request = _request(scope, path, body, oversized)
        pool = self._slow if self.api.is_slow(request.method, path) else self._pool
        response = await loop.run_in_executor(pool, self.api.handle, request)
        headers = _headers(response, oversized)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})

    def _streamed(self, request: HttpRequest, bridge: Bridge) -> None:
        """A request whose body flows, on its own thread from beginning to end."""
        response = self.api.handle(request)
        try:
            bridge.answer(response, _headers(response, not bridge.drain()), request.method == "HEAD")
        finally:
            close = getattr(response.pieces, "close", None)
            if close is not None:
                close()

    async def _body(self, receive: Receive, limit: int) -> tuple[bytes | None, bool]:
        """(body, over the limit?); (None, _) when the client has gone."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None, False
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                return b"", True
            parts.append(piece)
            if not message.get("more_body"):
                return b"".join(parts), False


def _request(
    scope: Message, path: bytes, body: bytes, oversized: bool = False, stream: Bridge | None = None
) -> HttpRequest:
    client = scope.get("client")
    return HttpRequest(
        method=scope["method"], path=path, query=scope.get("query_string", b""), headers=headers_of(scope["headers"]),
        body=body, scheme=scope.get("scheme", "http"), peer=client[0] if client else "", oversized=oversized,
        stream=stream,
    )  # fmt: skip


def _headers(response: HttpResponse, closing: bool) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers]
    if response.status != 204:
        headers.append((b"content-length", str(response.size).encode()))
    if closing:
        headers.append((b"connection", b"close"))
    return headers


def build_api(parts: Parts, threads: int = 10, slow_threads: int = 4) -> AsgiApp:
    """The API port from its parts."""
    return AsgiApp(Api(parts), threads, slow_threads)
