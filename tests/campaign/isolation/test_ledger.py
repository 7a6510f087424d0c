"""Every route of the ledger, the trail and the witness as everybody: a log that is not yours is not there."""

from __future__ import annotations

import pytest

from andromede.audit import routes as trail
from andromede.sovereignty import routes as ledger
from andromede.sovereignty import witness_routes as witness
from andromede.web.routes import Route
from tests.campaign.isolation.callers import SPENT, expired, populated
from tests.campaign.isolation.expected import AUDITORS, EVERYONE, LEDGER, PROJECT_AUDITED
from tests.campaign.isolation.masks import masked
from tests.support.cloud import Answer
from tests.support.house import House
from tests.support.world import World

KNOWN = {
    "sovereignty:get_verifier": "a program for everybody",
    "witness:add_checkpoint": "C2SP tlog-witness: signatures are the credential; 404 for what it does not trust",
    "witness:show_checkpoint": "C2SP tlog-witness: whoever knows an origin may see what was cosigned for it",
    "witness:show_installation": "says who it is, the same to everybody",
    "sovereignty:list_logs": "shows the logs that the caller may read",
    "sovereignty:erase_event": "has no name in its path: it is about the caller's own log",
}
"""What tells outsiders something or needs no name. This list may only shrink."""
NAMED = [route for route in ledger.routes if "{log}" in route.path]
OUTSIDE = EVERYONE - AUDITORS - PROJECT_AUDITED


@pytest.fixture
def w(pair: House) -> World:
    return populated(pair.cloud)


def path_of(route: Route, log: str) -> str:
    parts = []
    for part in route.path.split("/"):
        if part.startswith("{n"):
            part = "000.p" if part == "{n0}" and route.path.count("{n") == 2 else "000" if part == "{n0}" else "1"
        parts.append({"{log}": log, "{level}": "0", "{index}": "0"}.get(part, part))
    return "/sovereignty" + "/".join(parts) + ("?old=0" if route.path.endswith("/consistency") else "")


def called(pair: House, w: World, route: Route, who: str, log: str) -> Answer:
    body: object = {"witnesses": [], "quorum": "none"} if route.path.endswith("/witnesses") else b"quorum none\n"
    sent = body if route.method == "PUT" else None
    return pair.call(route.method, path_of(route, log), w.tokens.get(who), sent)


def refused(answer: Answer) -> bool:
    return answer.status in (401, 403) or (answer.status == 404 and b"that this credential may read" in answer.raw)


def test_every_action_is_in_a_table() -> None:
    every = [*ledger.routes, *witness.witness_routes, *witness.about_routes]
    assert {route.action for route in every} == set(LEDGER) | set(KNOWN)
    assert {route.action for route in NAMED} == set(LEDGER)


def test_everybody_gets_as_far_as_the_table_says(pair: House, w: World) -> None:
    wrong = []
    for route in NAMED:
        for who in sorted(EVERYONE):
            answer = called(pair, w, route, who, w.ids["project_id"])
            if refused(answer) == (who in LEDGER[route.action]):
                wrong.append(f"{route.method} {route.path} as {who}: {answer.status} {answer.raw[:200]!r}")
    assert wrong == [], "\n".join(wrong)


def test_a_log_that_is_not_yours_is_not_there(pair: House, w: World) -> None:
    row = pair.db.one("SELECT origin FROM ledger_log WHERE tenant = ?", (w.ids["project_id"],))
    assert row is not None
    there = [w.ids["project_id"], str(row[0]).rpartition("/")[2], "installation"]
    absent = ["f" * 32, "0" * 16, "nowhere"]
    wrong = []
    for number, route in enumerate(NAMED):
        names = sorted(OUTSIDE if route.method == "GET" else EVERYONE - LEDGER[route.action] - PROJECT_AUDITED)
        for who in [names[(number * 4 + at) % len(names)] for at in range(4)]:
            found = set()
            for log in (*there, *absent):
                answer = called(pair, w, route, who, log)
                assert refused(answer), (who, route.path, log, answer.raw)
                found.add(masked(answer.status, answer.headers, answer.raw, [path_of(route, log), log]))
            if len(found) != 1:
                wrong.append(f"{route.method} {route.path} as {who}: {found}")
    assert wrong == [], "\n".join(wrong)


def test_the_trail_shows_the_own_project_only(pair: House, w: World) -> None:
    (route,) = trail.routes
    for who in sorted(EVERYONE):
        answers = []
        for project in (w.ids["project_id"], "f" * 32):
            answer = pair.call("GET", f"/ledger{route.path}?project_id={project}", w.tokens[who])
            answers.append((answer.status, masked(answer.status, answer.headers, answer.raw, [project])))
        may = who in AUDITORS | PROJECT_AUDITED
        assert (answers[0][0] == 200) == may, (who, answers)
        assert may or answers[0] == answers[1], (who, answers)


def test_a_credential_that_is_none_gets_nowhere(pair: House, w: World) -> None:
    for who in SPENT:
        if who == "expired":
            w.tokens["expired"] = expired(w)
        for route in [*NAMED, *(one for one in ledger.routes if one.action == "sovereignty:list_logs")]:
            assert called(pair, w, route, who, w.ids["project_id"]).status == 401, (who, route.path)
