"""One HTTP server on the calling thread, from its listener to its orderly end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from andromede.clock import SystemClock
from andromede.ops import listeners
from andromede.ops.supervise import RETIRE

if TYPE_CHECKING:
    from andromede.web.asgi import AsgiApp

SETTLE_SECONDS, SETTLE_TLS_SECONDS = 1.0, 10.0
"""How long a connection that was accepted before the listener closed may need until it shows (its handshake)."""


def serve(app: AsgiApp, listener: socket.socket, tls: tuple[str, str], ready: Callable[[], None]) -> None:
    """Answer until SIGTERM or SIGINT, or until the last connection has ended after RETIRE; `tls` are the files of
    certificate and key, empty without TLS."""
    import uvicorn

    from andromede.ops.tls import CIPHERS
    from andromede.web.patience import PatientProtocol

    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",  # what clients send wrong is answered, not written down
        access_log=False,
        server_header=False,
        ssl_certfile=tls[0] or None,
        ssl_keyfile=tls[1] or None,
        ssl_ciphers=CIPHERS,
        timeout_graceful_shutdown=10,
        backlog=listeners.BACKLOG,
    )
    clock = SystemClock()
    settle = SETTLE_TLS_SECONDS if tls[0] else SETTLE_SECONDS

    class Server(uvicorn.Server):
        """Uvicorn's, with an end that cuts nobody off: what was accepted is answered."""

        retired: float | None = None

        async def on_tick(self, counter: int) -> bool:
            if PatientProtocol.retiring and self.retired is None:
                self.retired = clock.monotonic()
                for listening in self.servers:
                    listening.close()
            if self.retired is not None and clock.monotonic() > self.retired + settle:
                self.should_exit = self.should_exit or not self.server_state.connections
            return await super().on_tick(counter)

    server = Server(config)
    # uvicorn raises the signal again after its orderly end: it must find this handler, not the default
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: setattr(server, "should_exit", True))
    signal.signal(RETIRE, lambda number, frame: setattr(PatientProtocol, "retiring", True))
    _when(lambda: server.started, ready)
    server.run(sockets=[listener])


def _when(condition: Callable[[], bool], then: Callable[[], None]) -> None:
    """Call `then` from a thread once the condition holds."""
    clock = SystemClock()

    def wait() -> None:
        while not condition():
            clock.sleep(0.01)
        then()

    threading.Thread(target=wait, daemon=True).start()
