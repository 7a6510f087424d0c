"""The API port on a real socket, with little patience."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from andromede.log import Log
from andromede.web.api import Parts
from andromede.web.asgi import build_api
from andromede.web.patience import PatientProtocol
from tests.support.clock import FakeClock, FakeIds
from tests.unit.web.test_api import Doorman


class Hasty(PatientProtocol):
    patience = 1.0


@pytest.fixture
def port(clock: FakeClock) -> Iterator[int]:
    parts = Parts([], Doorman(), clock, FakeIds(), Log(clock=clock))
    config = uvicorn.Config(build_api(parts), http=Hasty, ws="none", log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()
