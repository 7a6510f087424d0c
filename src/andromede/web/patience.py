"""Uvicorn's HTTP protocol with an end to its patience: without one, clients that send a head or a body drop by
drop would hold connections for ever."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from andromede.web.flow import FLOWS
from andromede.web.strict import StrictProtocol


class PatientProtocol(StrictProtocol):
    """Closes a connection whose next request has not arrived whole `patience` seconds after its first byte
    (or after the connection was made). Where a body flows, its reader watches it in the place of this: the application
    calls what the scope names FLOWS."""

    patience: ClassVar[float] = 30.0
    retiring: ClassVar[bool] = False
    """Whether each answer is the last one of its connection: the process has a successor."""
    _late: asyncio.TimerHandle | None = None
    _flows = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._late is None and not self._flows:
            self._watch()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.scope[FLOWS] = partial(self._flow, self.cycle)  # type: ignore[literal-required]
        if self.retiring and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._calm()
        self._flows = False
        super().on_message_complete()

    def _flow(self, cycle: RequestResponseCycle) -> None:
        if cycle is self.cycle and cycle.more_body:
            self._calm()
            self._flows = True

    def _watch(self) -> None:
        self._late = self.loop.call_later(self.patience, self._give_up)

    def _calm(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        self.transport.close()
