"""The ledger over the API port, /sovereignty/v1: the caller's own log, and under /logs/{log} any that it may read.

`log` is a project id, the 16 hex digits of an origin, or `installation`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from importlib import resources
from typing import Any

import msgspec

from andromede.errors import Invalid, NotFound
from andromede.ledger.note import BadNote, Verifier, checkpoint_fields, split_note
from andromede.sovereignty import policies, roots, views
from andromede.sovereignty.access import ERASE, GET, LIST_LOGS, SET_POLICY, TABLE, VERIFIER
from andromede.sovereignty.log import LogState
from andromede.sovereignty.policies import Named
from andromede.sovereignty.service import PAGE, Asking, Ledger, Waiting, shown
from andromede.web.api import Mount
from andromede.web.call import Call, Reply
from andromede.web.dialect import Dialect
from andromede.web.routes import Routes, Target

LedgerCall = Call[Ledger]
TEXT = "text/plain; charset=utf-8"
SOON = ("Cache-Control", "private, max-age=2")
FOR_EVER = ("Cache-Control", "private, max-age=31536000, immutable")
NEVER = ("Cache-Control", "private, no-store")
HEADER = "Andromede-Ledger"
MOST_MONTHS = 120
GROUPS = 4
"""Path segments of a tile's number: 256 * 1000**4 entries."""

routes: Routes[Ledger] = Routes()


def _log(call: LedgerCall) -> LogState:
    """The log that the request is about. `NotFound` for one that the caller may not see as for one that is none."""
    name, who = call.params.get("log"), call.who
    if name is None:
        if who.project_id is None:
            raise Invalid(
                "the credential is not for a project; name a log: "
                "/sovereignty/v1/logs/{project id, or installation}/...",
                "scope",
            )
        found = call.services.logs.log(who.project_id)
        if found is None:
            raise NotFound(f"project {who.project_id} has no log yet: it begins with its first event", "log")
        return found
    found = call.services.find(name)
    if found is None or not (TABLE.reach(who, call.action).everything or _is_own(call, found)):
        raise NotFound(f"there is no log {name[:80]!r} here that this credential may read", "log")
    return found


def _is_own(call: LedgerCall, log: LogState) -> bool:
    return log.tenant != "" and log.tenant == call.who.project_id


def _target(call: LedgerCall, _: Any) -> Target:
    return Target(project_id=_log(call).tenant or None)


def _asking(call: LedgerCall, log: LogState, purpose: str = "") -> Asking:
    foreign = "OPERATOR_REVIEW" if call.method in ("GET", "HEAD") else "OPERATOR_SYSTEM"
    usual = "CUSTOMER_ACCESS" if _is_own(call, log) else foreign
    return Asking(call.who.label(), call.action, call.request_id, purpose or usual)


def _both(method: str, path: str, needs: str, **optional: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a route for the caller's own log and for a named one."""

    def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
        for prefix in ("/v1", "/v1/logs/{log}"):
            routes.add(method, prefix + path, needs, target=_target, **optional)(handler)
        return handler

    return declare


@routes.add("GET", "/v1/logs", LIST_LOGS, target=lambda call, _: Target(project_id=call.who.project_id))
def list_logs(call: LedgerCall) -> Reply:
    """The logs that the caller may read, at most 1000 in order of origin, from `after` an origin on: to follow a
    whole installation, as its auditors do."""
    everything, after = TABLE.reach(call.who, LIST_LOGS).everything, call.query.get("after") or ""
    own = call.services.logs.log(call.who.project_id) if call.who.project_id else None
    logs = call.services.logs.all() if everything else [own] if own else []
    rows = sorted((log for log in logs if log.origin > after), key=lambda log: log.origin)[:PAGE]
    shown = [
        {"origin": log.origin, "project_id": log.tenant or None, "allocated": log.allocated, "size": log.size}
        for log in rows
    ]
    return Reply({"logs": shown, "next": rows[-1].origin if len(rows) == PAGE else None}, headers=(SOON,))


@_both("GET", "/checkpoint", GET["checkpoint"])
def checkpoint(call: LedgerCall) -> Reply:
    """The newest checkpoint: a C2SP signed note with the cosignatures gathered for it; with `witnessed` the newest
    that meets the quorum of the policy."""
    log, note = _log(call), None
    if call.boolean("witnessed"):
        note = call.services.accepted(log)
        if note is None:
            text = f"no checkpoint of {log.origin} meets the quorum yet; see its witnesses, or ask again"
            raise NotFound(text, "checkpoint", retry_after=2)
    return Reply((note or call.services.checkpoint(log)).encode(), headers=(SOON,), media_type=TEXT)


def tile(call: LedgerCall) -> Reply:
    """A tile of hashes, or of `entries` (C2SP tlog-tiles): `<level>/<number>[.p/<width>]`."""
    log, level = _log(call), call.params["level"]
    number, width = _tile_number([call.params[f"n{at}"] for at in range(GROUPS + 1) if f"n{at}" in call.params])
    if level == "entries":
        data = call.services.logs.entries(log.origin, number, width)
    else:
        data = call.services.logs.tile(log.origin, _whole(level, 63), number, width)
    return Reply(data, headers=(FOR_EVER,), media_type="application/octet-stream")


for _depth in range(1, GROUPS + 2):
    _both("GET", "/tile/{level}/" + "/".join(f"{{n{at}}}" for at in range(_depth)), GET["tile"])(tile)


def _whole(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or str(int(text[:20])) != text or int(text) > most:
        raise NotFound(f"there is no tile {text[:40]!r}: a plain number up to {most} is wanted", "tile")
    return int(text)


def _tile_number(parts: list[str]) -> tuple[int, int]:
    """(number, width) of `x001/x234/067` or `x001/x234/067.p/5`."""
    width, spelled = 256, "/".join(parts)
    if len(parts) > 1 and parts[-2].endswith(".p"):
        width = _whole(parts[-1], 255)
        parts = [*parts[:-2], parts[-2].removesuffix(".p")]
    groups = [part.removeprefix("x") if at < len(parts) - 1 else part for at, part in enumerate(parts)]
    digits = "".join(groups)
    fits = all(len(group) == 3 for group in groups) and digits.isascii() and digits.isdigit() and width
    marked = all(part.startswith("x") for part in parts[:-1])
    if not fits or not marked or (len(groups) > 1 and groups[0] == "000") or len(groups) > GROUPS:
        raise NotFound(f"there is no tile {spelled[:80]!r}: tile 1234067 is spelled x001/x234/067", "tile")
    return int(digits), width


@_both("GET", "/consistency", GET["consistency"])
def consistency(call: LedgerCall) -> Reply:
    """The proof that the log of `old` entries is a prefix of the log of `size` (default: the newest checkpoint's):
    one hash a line in base64, in the order of RFC 9162 2.1.4, as witnesses take it."""
    log, old, size = _log(call), call.integer("old", 0, 10**17), call.integer("size", 0, 10**17)
    if old is None:
        raise Invalid("say which size you know: ?old=<size>[&size=<size>]", "query")
    signed = checkpoint_fields(split_note(call.services.checkpoint(log))[0])[1]
    size = signed if size is None else size
    if not old <= size <= signed:
        raise Invalid(f"old={old} and size={size} must rise and not pass {signed}, the newest checkpoint's", "query")
    proof = "".join(f"{b64encode(step).decode()}\n" for step in call.services.consistency(log, old, size))
    return Reply(proof.encode(), headers=(SOON, ("Andromede-Sizes", f"{old} {size}")), media_type=TEXT)


@_both("GET", "/events", GET["events"])
def list_events(call: LedgerCall) -> Reply:
    """Events with `from` <= index < `to`, or the `newest` so many, at most 1000: index, salt, event (the text of
    exactly the stored bytes; null once removed) and entry (null until sequenced). `next` is the first index that is
    not here yet. Leaves an event."""
    log = _log(call)
    newest = call.integer("newest", 1, PAGE)
    first = call.integer("from", 0, 10**17) or 0
    to = call.integer("to", 0, 10**17)
    if newest is not None:
        first, to = max(log.allocated - newest, 0), None
    to = min(log.allocated if to is None else to, first + PAGE, log.allocated)
    rows = views.lines(call.services, log, first, to)
    position = call.services.note(log, _asking(call, log), f"events:{first}-{max(to, first)}")
    following = views.following(rows, first)
    body = {"origin": log.origin, "events": rows, "next": following, "allocated": log.allocated, "size": log.size}
    return Reply(body, headers=(NEVER, (HEADER, str(position))))


@_both("GET", "/receipts/{index}", GET["receipt"])
def receipt(call: LedgerCall) -> Reply:
    """The receipt of an event (C2SP tlog-proof, with the salt and the event in it) by index or by request id:
    200, or 202 with Retry-After until a checkpoint covers it (with `witnessed`: until the quorum has signed), 404,
    or 410 when its content was removed. Leaves an event."""
    log, service = _log(call), call.services
    given = call.params["index"]
    index = service.by_request(log, given) if given.startswith(("req-", "tx")) else _index(given)
    found = service.receipt(log, index, bool(call.boolean("witnessed")))
    if isinstance(found, Waiting):
        waiting = {"index": index, "origin": log.origin, "waiting": found.reason}
        return Reply(waiting, 202, (NEVER, ("Retry-After", str(found.seconds))))
    position = service.note(log, _asking(call, log), f"receipt:{index}")
    name = f'attachment; filename="{log.origin.replace("/", "-")}-{index}.tlog-proof"'
    headers = (NEVER, ("Content-Disposition", name), (HEADER, str(position)))
    return Reply(str(found).encode(), headers=headers, media_type=TEXT)


def _index(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 17:
        raise Invalid(
            f"{text[:80]!r} is neither an index nor a request id (req-..., or tx... of the Swift door)", "index"
        )
    return int(text)


@routes.add("DELETE", "/v1/events/{index}", ERASE, target=_target, status=204)
def erase(call: LedgerCall) -> Reply:
    """Remove salt and content of one event of the own log for good, as personal data. Its hash stays, every other
    receipt stays valid, and an event tells of the removal."""
    log = _log(call)
    position = call.services.erase(log, _index(call.params["index"]), _asking(call, log, "ERASURE"))
    return Reply(status=204, headers=((HEADER, str(position)),))


@_both("GET", "/policy", GET["policy"])
def get_policy(call: LedgerCall) -> Reply:
    """The policy of the log (C2SP tlog-policy): its keys, its witnesses, its quorum; the rule of retention as a
    comment."""
    return Reply(call.services.policy_text(_log(call)).encode(), headers=(SOON,), media_type=TEXT)


@_both("PUT", "/policy", SET_POLICY)
def put_policy(call: LedgerCall) -> Reply:
    """Replace the policy of the log by the policy file in the body."""
    log = _log(call)
    try:
        given = call.body.decode()
    except UnicodeDecodeError as error:
        raise Invalid("the policy is not UTF-8 text", "policy") from error
    position = call.services.set_policy(log, given, _asking(call, log))
    text = call.services.policy_text(log).encode()
    return Reply(text, headers=((HEADER, str(position)),), media_type=TEXT)


@_both("DELETE", "/policy", SET_POLICY, status=204)
def delete_policy(call: LedgerCall) -> Reply:
    """Let the installation's default policy hold again."""
    log = _log(call)
    position = call.services.set_policy(log, None, _asking(call, log))
    return Reply(status=204, headers=((HEADER, str(position)),))


class WitnessFields(msgspec.Struct, forbid_unknown_fields=True):
    """A witness: its name in the policy, its verifier key, the URL below which `add-checkpoint` is."""

    name: str
    key: str
    url: str = ""


class WitnessesBody(msgspec.Struct, forbid_unknown_fields=True):
    """All witnesses of a log; `quorum` is majority, all, any, none or how many of them must sign."""

    witnesses: list[WitnessFields]
    quorum: str | int = "majority"


@_both("GET", "/witnesses", GET["witnesses"])
def get_witnesses(call: LedgerCall) -> Reply:
    """The witnesses of the log, what each last signed and when, and in plain words whether that suffices."""
    return Reply(views.witnesses(call.services, _log(call)), headers=(SOON,))


@_both("PUT", "/witnesses", SET_POLICY, body=WitnessesBody)
def put_witnesses(call: LedgerCall, body: WitnessesBody) -> Reply:
    """Replace the policy of the log by a list of witnesses and a quorum over them."""
    log = _log(call)
    try:
        named = [Named(one.name, Verifier.parse(one.key), one.url) for one in body.witnesses]
    except BadNote as error:
        raise Invalid(f"a witness's key cannot be read: {error}", "policy") from error
    for one in named:
        if not one.name or len(one.name.split()) != 1 or len(one.url.split()) > 1:
            raise Invalid(f"the witness {one.name[:80]!r}: a name and a URL have no spaces", "policy")
    given = policies.simple(named, str(body.quorum))
    position = call.services.set_policy(log, given, _asking(call, log))
    return Reply(views.witnesses(call.services, log), headers=((HEADER, str(position)),))


@_both("GET", "/status", GET["status"])
def status(call: LedgerCall) -> Reply:
    """The state of the log: size, what is not in a checkpoint yet, age of the checkpoint, witnesses, retention."""
    return Reply(views.status(call.services, _log(call)), headers=(SOON,))


@_both("GET", "/roots", GET["roots"])
def list_roots(call: LedgerCall) -> Reply:
    """The monthly roots, newest first: the log's own size and root as the installation's log has them. Those who
    may read every log see all of them under /v1/logs/installation/roots."""
    log = _log(call)
    limit = call.integer("limit", 1, MOST_MONTHS) or 12
    months = roots.months(call.services.db, call.services.logs, limit)
    return Reply({"origin": log.origin, "months": [views.month(row, log) for row in months]}, headers=(SOON,))


@routes.add("GET", "/v1/andromede-verify", VERIFIER, public=True)
def verifier(call: LedgerCall) -> Reply:
    """The offline verifier: one file, needs Python and `cryptography` only."""
    file = resources.files("andromede.sovereignty").joinpath("files", "andromede-verify")
    if not file.is_file():
        raise NotFound("this build does not carry andromede-verify; take it from the repository", "verifier")
    headers = (
        ("Cache-Control", "public, max-age=3600"),
        ("Content-Disposition", "attachment; filename=andromede-verify"),
    )
    return Reply(file.read_bytes(), headers=headers, media_type="text/x-python; charset=utf-8")


_HASHES = frozenset({*GET.values(), LIST_LOGS}) - {GET["events"], GET["receipt"]}


def untouched(call: Call[Any]) -> bool:
    """Reads of hashes, policies and sizes show nothing of a tenant's data: whoever follows a log would else make it
    grow. Events and receipts leave their own events; one that is not there yet shows nothing."""
    return call.action in _HASHES or (call.action == GET["receipt"] and call.method == "GET")


def mount(ledger: Ledger) -> Mount:
    """The ledger under /sovereignty."""
    dialect = Dialect("sovereignty", statuses={("not_found", "pruned"): 410})
    return Mount("/sovereignty", "sovereignty", routes, ledger, dialect, untouched=untouched)


__all__ = ["TABLE", "mount", "routes", "shown"]
