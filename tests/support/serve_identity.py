"""Serve the identity API alone, for suites: `python -m tests.support.serve_identity DIR HOST:PORT`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import uvicorn

from andromede import audit, config
from andromede.audit import Recorder
from andromede.clock import SystemClock
from andromede.db import migrate, open_database
from andromede.identity import service
from andromede.identity.bootstrap import bootstrap
from andromede.identity.routes import mount
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.web.api import Parts
from andromede.web.asgi import build_api


def main() -> None:
    data, listen = Path(sys.argv[1]), sys.argv[2]
    data.mkdir(parents=True, exist_ok=True)
    settings = config.load(data, overrides={"server": {"listen": listen}})
    clock, ids = SystemClock(), RandomIds()
    db = open_database(settings.database_dsn)
    migrate(db, [*audit.MIGRATIONS, *service.MIGRATIONS])
    identity = service.build(settings, db, clock, ids, Recorder("api-0", clock))
    made = bootstrap(identity.core, settings.server.region, "req-bootstrap")
    if made:
        document = made.clouds(f"http://{listen}/identity/v3")
        (data / "clouds.yaml").write_text(json.dumps(document))
        lines = [f"{name}={value}" for name, value in made.s3(f"http://{settings.server.objects}").items()]
        (data / "s3.env").write_text("\n".join(lines) + "\n")
        for name in ("clouds.yaml", "s3.env"):
            os.chmod(data / name, 0o600)
    app = build_api(Parts([mount(identity)], identity.guard(), clock, ids, Log(clock=clock, role="api")))
    host, _, port = listen.rpartition(":")
    uvicorn.run(app, host=host, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
