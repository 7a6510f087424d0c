"""A handler on the loop's thread may find that its request is no small matter."""

from __future__ import annotations

import threading

from andromede.web.stream import Request, Response
from andromede.web.stream.faults import NotQuick
from tests.support.edge import serving

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def test_what_turns_out_slow_is_handled_again_on_a_thread() -> None:
    seen: list[tuple[bool, int]] = []

    def handle(request: Request) -> Response:
        seen.append((request.inline, threading.get_ident()))
        if request.inline and request.path == b"/slow":
            raise NotQuick
        return Response(200, [], request.path)

    with serving(handle, inline=True) as served:
        answer = served.ask(b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\n" + CLOSE)
    assert answer.count(b"200 OK") == 2 and answer.endswith(b"/slow")
    assert [inline for inline, _ in seen] == [True, True, False]
    assert seen[0][1] == seen[1][1] != seen[2][1]
