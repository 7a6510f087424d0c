"""The witness over HTTP (C2SP tlog-witness), and who this installation is. Public: signatures are the credential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from andromede.ledger.witness import Answer
from andromede.sovereignty.witness_server import LARGEST_BODY, WitnessServer
from andromede.web.access import AccessTable, Grant
from andromede.web.api import Mount
from andromede.web.call import Call, Reply
from andromede.web.dialect import Dialect
from andromede.web.routes import Routes

PREFIX = "/sovereignty/v1/witness"
ABOUT = "/sovereignty/v1/installation"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an installation says of itself; all empty for a witness that stands alone. `keys`: the vkeys of the
    installation's own log; its other logs, all below `prefix`, have the same public keys under their names."""

    install: str | None
    prefix: str | None
    keys: tuple[str, ...]


NOBODY = Identity(None, None, ())


@dataclass(frozen=True, slots=True)
class Served:
    """What the routes stand on. `identity` is asked at each call: a new installation gets its log a moment later."""

    witness: WitnessServer
    identity: Callable[[], Identity]


TABLE = AccessTable(
    dict.fromkeys(
        ("witness:add_checkpoint", "witness:show_checkpoint", "witness:show_installation"), (Grant("public"),)
    )
)
witness_routes: Routes[Served] = Routes()
about_routes: Routes[Served] = Routes()


def _reply(answer: Answer) -> Reply:
    return Reply(answer.body.encode(), answer.status, media_type=answer.content_type)


@witness_routes.add("POST", "/add-checkpoint", "witness:add_checkpoint", public=True)
def add_checkpoint(call: Call[Served]) -> Reply:
    """Cosign a checkpoint that extends the last one (C2SP tlog-witness). The body is `old N`, the consistency proof,
    a blank line and the checkpoint; 409 tells the size to prove from."""
    return _reply(call.services.witness.add_checkpoint(call.body, call.peer))


@witness_routes.add("GET", "/{log}/checkpoint", "witness:show_checkpoint", public=True)
def show_checkpoint(call: Call[Served]) -> Reply:
    """The last checkpoint that this witness cosigned for a log; `log` is the SHA-256 of its origin in hex."""
    return _reply(call.services.witness.latest(call.params["log"], call.peer))


@about_routes.add("GET", "", "witness:show_installation", public=True)
def show_installation(call: Call[Served]) -> dict[str, Any]:
    """Who this is: the keys of its logs, and its witness with keys and URL. What `andromede witness trust` reads."""
    served = call.services
    identity = served.identity()
    origin = call.base.removesuffix(ABOUT)
    witness = {"name": served.witness.keys.name, "vkeys": served.witness.keys.vkeys, "url": origin + PREFIX}
    return {
        "install": identity.install,
        "prefix": identity.prefix,
        "keys": list(identity.keys),
        "witness": witness,
    }


def mounts(served: Served) -> list[Mount]:
    """Both, at their places on the API port."""
    return [
        Mount(PREFIX, "witness", witness_routes, served, Dialect("witness"), max_body=LARGEST_BODY),
        Mount(ABOUT, "installation", about_routes, served, Dialect("witness"), max_body=1024),
    ]
