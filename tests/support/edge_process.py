"""A program: serve an edge on a free port and print the port. Argument: a folder with cert.pem and key.pem."""

from __future__ import annotations

import io
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from andromede.clock import SystemClock  # noqa: E402
from andromede.ids import RandomIds  # noqa: E402
from andromede.log import Log  # noqa: E402
from andromede.web.stream import Chunk, Commit, Edge, Parts, Request, Response, listen  # noqa: E402
from tests.support.edge import TestCommitter  # noqa: E402

MIB = 1 << 20


class Sink:
    """PUT counts the body; `GET /N` streams N bytes from one reused buffer."""

    def express(self, request: Request) -> None:
        return None

    def quick(self, request: Request) -> bool:
        return request.path == b"/0"

    def handle(self, request: Request) -> Response | Commit[Any]:
        if request.method == "PUT":
            piece, total = memoryview(bytearray(MIB)), 0
            while count := request.body.readinto(piece):
                total += count
            return Response(200, [], b"%d" % total)
        size = int(request.path[1:])
        return Response(200, [], chunks(size), size) if size else Response(200)

    def error(self, request: Request | None, error: BaseException) -> Response:
        return Response(500, [], repr(error).encode())


def chunks(size: int) -> Iterator[Chunk]:
    buffer = memoryview(bytearray(MIB))
    for _ in range(size // MIB):
        yield buffer


def main() -> None:
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
    listener = listen("127.0.0.1", 0)
    edge = Edge(Parts(Sink(), TestCommitter(), SystemClock(), RandomIds(), Log(io.StringIO())), listener, tls)
    edge.run(lambda: print(listener.getsockname()[1], flush=True))


if __name__ == "__main__":
    main()
