"""The ASGI adapter of the API port: reads the whole body within its limit, runs the handler on a bounded
pool of threads, writes the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from andromede.web.api import Api, Parts, headers_of
from andromede.web.call import HttpRequest

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiApp:
    """An ASGI 3 application over `Api`, with a pool of threads and a smaller one for slow operations."""

    def __init__(self, api: Api, threads: int, slow_threads: int) -> None:
        self.api = api
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._slow = ThreadPoolExecutor(slow_threads, thread_name_prefix="api-slow")

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
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        path = bytes(scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        body, oversized = await self._body(receive, self.api.max_body(path))
        if body is None:
            return
        client = scope.get("client")
        request = HttpRequest(
            method=scope["method"],
            path=path,
            query=scope.get("query_string", b""),
            headers=headers_of(scope["headers"]),
            body=body,
            scheme=scope.get("scheme", "http"),
            peer=client[0] if client else "",
            oversized=oversized,
        )
        pool = self._slow if self.api.is_slow(request.method, path) else self._pool
        response = await asyncio.get_running_loop().run_in_executor(pool, self.api.handle, request)
        headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers]
        if response.status != 204:
            headers.append((b"content-length", str(len(response.body)).encode()))
        if oversized:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})

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


def build_api(parts: Parts, threads: int = 10, slow_threads: int = 4) -> AsgiApp:
    """The API port from its parts."""
    return AsgiApp(Api(parts), threads, slow_threads)
