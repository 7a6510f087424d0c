"""Steps, leases, wishes, deadlines and retries of the runner, over a toy lifecycle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from andromede.db import Database
from andromede.errors import Error, Invalid, Unavailable
from andromede.work import lifecycle_store
from andromede.work.lifecycle import Deadline, Next, begin, public, signal
from andromede.work.runner import LEASE_SECONDS, Runner
from tests.support.clock import FakeClock
from tests.support.installation import wait_until
from tests.unit.work.toy import MOVES, Shop, Thing, life, moves


@pytest.fixture
def shop(db: Database, clock: FakeClock) -> Shop:
    return Shop(db, clock)


def walk(shop: Shop, runner: Runner, turns: int = 20) -> None:
    for _ in range(turns):
        runner.settle()
        shop.clock.advance(3)


def wish(shop: Shop, word: str, thing: str = "t1") -> bool:
    return bool(shop.tx(lambda tx: signal(tx, "thing", thing, word, shop.clock.now_us())))


def start(shop: Shop, sources: Any, state: str, **changes: Any) -> bool:
    return bool(shop.tx(lambda tx: begin(tx, "thing", "t1", (sources, state), shop.clock.now_us(), **changes)))


def failing(shop: Shop, *errors: Exception | None, verb: str = "ensure") -> None:
    """The engine raises these, one for each call of the verb, and works afterwards."""
    left = list(errors)

    def before(called: str) -> None:
        error = left.pop(0) if called == verb and left else None
        if error:
            raise error

    shop.engine.before = before


def test_a_row_goes_its_way_and_leaves_an_event_for_each_move(shop: Shop) -> None:
    shop.add()
    runner = shop.runner()
    assert runner.settle() == 1
    made = shop.here()
    assert (made.state, made.due_us, made.holder, made.lease_us) == ("settling", shop.clock.us + 2_000_000, "", 0)
    assert runner.settle() == 0, "it waits"
    shop.clock.advance(2)
    assert runner.settle() == 1
    assert (shop.here().state, shop.here().due_us, shop.here().since_us) == ("ready", None, shop.clock.us)
    assert start(shop, ("ready", "error"), "closing", request_id="req-2", size=7)
    assert not start(shop, "ready", "closing"), "it is no longer there"
    runner.settle()
    assert (shop.here().state, shop.here().labels, shop.here().size) == ("closed", ["shut"], 7)
    told = [(event["action"], event["detail"]["was"], event["request_id"], event["actor"]) for event in shop.events()]
    assert told == [
        ("thing:settling", "making", "req-1", "system:work"),
        ("thing:ready", "settling", "req-1", "system:work"),
        ("thing:closed", "closing", "req-2", "system:work"),
    ]
    assert {event["outcome"] for event in shop.events()} == {"success"}


def test_an_ended_row_is_removed(shop: Shop) -> None:
    shop.add(state="deleting")
    shop.runner().settle()
    assert shop.row() is None
    assert [event["action"] for event in shop.events()] == ["thing:deleted"]


def test_more_rows_change_in_the_transaction_of_the_step(shop: Shop) -> None:
    def making(thing: Thing) -> Next:
        return Next("ready", then=lambda tx: tx.run("UPDATE thing SET size = 3 WHERE id = 't2'") and None)

    shop.add()
    shop.add("t2", "ready")
    shop.runner(steps={"making": making}, moves=moves({"making": "ready"})).settle()
    assert shop.here("t2").size == 3
    shop.tx(lambda tx: tx.run("DELETE FROM thing"))

    def broken(tx: Any) -> None:
        tx.run("UPDATE thing SET size = 99")
        raise Invalid("no room for it")

    shop.add()
    shop.runner(steps={"making": lambda thing: Next("settling", then=broken)}).settle()
    assert (shop.here().state, shop.here().size, shop.here().fault) == ("error", 0, "no room for it")


def test_a_delete_is_looked_at_before_every_step(shop: Shop) -> None:
    shop.add()
    runner = shop.runner()
    runner.settle()
    assert wish(shop, "delete") and wish(shop, "delete")
    assert shop.here().signals == "delete"
    runner.settle()
    assert shop.row() is None and shop.engine.held == {}
    assert not wish(shop, "delete"), "nothing is there"


def test_a_wish_of_a_working_state_is_kept_for_the_resting_state(shop: Shop) -> None:
    shop.add()
    runner = shop.runner()
    assert wish(shop, "close")
    walk(shop, runner)
    assert (shop.here().state, shop.here().signals) == ("closed", "")


def test_a_wish_that_is_met_is_forgotten(shop: Shop) -> None:
    shop.add()
    runner = shop.runner()
    wish(shop, "close")
    walk(shop, runner)
    start(shop, "closed", "making")
    walk(shop, runner)
    assert shop.here().state == "ready", "the former wish does not come back"
    start(shop, "ready", "closing")
    wish(shop, "close")
    walk(shop, runner)
    assert (shop.here().state, shop.here().signals) == ("closed", "")


def test_a_wish_that_comes_while_a_step_runs_is_heeded_at_once(shop: Shop) -> None:
    shop.add(signals="later")

    def before(verb: str) -> None:
        shop.engine.before = lambda verb: None
        wish(shop, "delete")

    shop.engine.before = before
    assert shop.runner().settle() == 1
    assert shop.row() is None


def test_a_wish_of_no_known_word_is_for_the_steps(shop: Shop) -> None:
    seen: list[str] = []

    def settling(thing: Thing) -> Next:
        seen.append(thing.signals)
        if len(seen) == 1:
            wish(shop, "hurry")  # in the middle of the step
            return Next("settling", wake_in=3600)
        left = " ".join(word for word in thing.signals.split() if word != "hurry")
        return Next("ready", changes={"signals": left})

    shop.add(state="settling")
    shop.runner(steps={"settling": settling}).settle()
    assert seen == ["", "hurry"]
    assert (shop.here().state, shop.here().signals) == ("ready", "")


def test_a_wish_that_may_not_be_heeded_leaves_a_row_at_rest(shop: Shop) -> None:
    shop.add(state="error")
    runner = shop.runner()
    wish(shop, "close")
    assert runner.settle() == 1
    assert (shop.here().state, shop.here().due_us, shop.here().signals) == ("error", None, "close")


def test_an_unavailable_engine_is_asked_again_with_growing_pauses(shop: Shop) -> None:
    failing(shop, *[Unavailable("no hypervisor")] * 6)
    shop.add()
    runner = shop.runner()
    pauses = []
    for _ in range(6):
        runner.settle()
        row = shop.here()
        assert row.due_us is not None and (row.state, row.fault, row.holder) == ("making", "no hypervisor", "")
        pauses.append(row.due_us - shop.clock.us)
        shop.clock.us = row.due_us
    assert pauses == sorted(pauses) and 100_000 < pauses[0] < 300_000 and pauses[-1] > 4_000_000
    runner.settle()
    assert (shop.here().state, shop.here().tries, shop.here().fault) == ("settling", 0, "")
    assert [line["text"] for line in shop.log()] == ["no hypervisor"] * 6


def test_what_made_it_try_again_is_over_once_a_step_works(shop: Shop) -> None:
    failing(shop, Unavailable("not yet"), verb="observe")
    shop.add(state="settling")
    runner = shop.runner()
    runner.settle()
    assert shop.here().fault == "not yet"
    shop.clock.advance(2)
    runner.settle()
    assert (shop.here().state, shop.here().fault, shop.here().tries) == ("settling", "", 0)


def test_a_deadline_gives_up_and_tells_the_last_cause(shop: Shop) -> None:
    undone: list[str] = []
    failing(shop, *[Unavailable("no hypervisor")] * 100)
    shop.add()
    runner = shop.runner(undo=lambda tx, row, why: undone.append(f"{row.id} {why}"))
    for _ in range(40):
        runner.settle()
        shop.clock.advance(3)
    why = "thing t1 was making for more than 60 seconds: no hypervisor"
    assert (shop.here().state, shop.here().fault, shop.here().due_us) == ("error", why, None)
    assert undone == [f"t1 {why}"]
    alert = next(line for line in shop.log() if line["event"] == "work.deadline")
    assert (alert["id"], alert["state"], alert["alert"]) == ("t1", "making", True)
    event = shop.events()[-1]
    assert (event["action"], event["outcome"], event["detail"]["fault"]) == ("thing:error", "failure", why)


def test_a_state_that_never_gives_up_is_tried_for_ever_and_told(shop: Shop) -> None:
    failing(shop, *[Invalid("no"), KeyError("x"), *[Unavailable("away")] * 30], verb="remove")
    shop.add(state="deleting")
    runner = shop.runner(deadlines={"deleting": Deadline(60, "deleting")})
    for _ in range(20):
        runner.settle()
        shop.clock.advance(40)
    assert (shop.here().state, shop.here().fault) == ("deleting", "away")
    shop.engine.before = lambda verb: None
    runner.settle()
    assert shop.row() is None
    alerts = [line for line in shop.log() if line["event"] == "work.deadline"]
    assert alerts and {line["state"] for line in alerts} == {"deleting"}


def test_a_state_without_its_own_deadline_has_one_all_the_same(shop: Shop) -> None:
    steps = {"making": lambda thing: Next("making", wake_in=100)}
    shop.add()
    runner = shop.runner(steps=steps, deadlines={}, otherwise=Deadline(250))
    for _ in range(5):
        runner.settle()
        shop.clock.advance(100)
    assert shop.here().fault == "thing t1 was making for more than 250 seconds"


@pytest.mark.parametrize(
    ("error", "words"),
    [(Invalid("the image is damaged", cause="secret path"), "the image is damaged"), (KeyError("x"), "an engine")],
)
def test_an_engine_that_refuses_gives_up_with_words_for_the_client(shop: Shop, error: Exception, words: str) -> None:
    failing(shop, *[error] * 10)
    shop.add()
    walk(shop, shop.runner())
    assert shop.here().state == "error" and shop.here().fault.startswith(words)
    assert "secret" not in shop.here().fault
    tries = [line for line in shop.log() if line["event"] == "work.step"]
    assert len(tries) == (1 if isinstance(error, Error) else 5)
    assert public(error) == shop.here().fault


def test_a_step_that_leads_where_no_move_goes_gives_up(shop: Shop) -> None:
    shop.add()
    shop.runner(steps={"making": lambda thing: Next("closed")}).settle()
    assert (shop.here().state, shop.here().fault) == ("error", "thing: making may not become closed")


def test_a_row_belongs_to_who_holds_its_lease(shop: Shop) -> None:
    shop.add()
    slow = {"making": Deadline(600)}
    other = Runner(shop.held_by("there:2"), [life(shop.engine, deadlines=slow)])

    def stolen(verb: str) -> None:
        shop.engine.before = lambda verb: None
        shop.clock.advance(LEASE_SECONDS + 1)
        assert other.settle() == 1

    shop.engine.before = stolen
    shop.runner(deadlines=slow).settle()
    assert shop.engine.calls == ["ensure", "ensure"], "both ran the step, which does no harm"
    assert len(shop.events()) == 1, "and one of them wrote what it found"
    assert shop.here().state == "settling"


def test_a_row_that_is_held_waits_for_the_end_of_the_lease(shop: Shop) -> None:
    shop.add(holder="there:2", lease_us=shop.clock.us + 5_000_000)
    runner = shop.runner()
    assert runner.settle() == 0
    shop.clock.advance(6)
    assert runner.settle() == 1


def test_what_an_ended_process_held_is_free_at_once(shop: Shop) -> None:
    until = shop.clock.us + 50_000_000
    for n, holder in enumerate(("here:1", "here:9", "there:2")):
        shop.add(f"t{n}", holder=holder, lease_us=until)
    runner = shop.runner()
    assert runner.free(lambda holder: holder == "here:9") == 2
    assert runner.settle() == 2
    assert shop.here("t2").state == "making"


def test_a_clock_that_was_set_back_keeps_no_row_waiting(shop: Shop) -> None:
    year = 365 * 86_400 * 1_000_000
    shop.add(due_us=shop.clock.us + year, holder="there:2", lease_us=shop.clock.us + year)
    assert shop.runner().settle() == 1
    assert shop.here().state == "settling"


def test_a_row_that_never_rests_lets_others_have_their_turn(shop: Shop) -> None:
    flip = {"making": lambda thing: Next("settling"), "settling": lambda thing: Next("making")}
    shop.add()
    runner = shop.runner(steps=flip, moves=moves({"making": "settling error", "settling": "making error"}))
    runner.work("thing", "t1")
    row = shop.here()
    assert (row.holder, row.lease_us, row.due_us) == ("", 0, shop.clock.us)
    assert runner.settle(most=3) == 3


def test_a_row_that_is_gone_or_taken_is_left_alone(shop: Shop) -> None:
    runner = shop.runner()
    runner.work("thing", "nothing")
    shop.add(state="ready", due_us=None)
    runner.work("thing", "t1")
    assert shop.engine.calls == []
    shop.add("t2")

    def vanish(verb: str) -> None:
        shop.tx(lambda tx: tx.run("DELETE FROM thing WHERE id = 't2'"))

    shop.engine.before = vanish
    runner.settle()
    assert shop.events() == []


class Threads:
    """A runner on a thread of its own, over the machine's clock, which stands in this test's hands."""

    def __init__(self, shop: Shop, **changes: Any) -> None:
        self.runner, self.stop = shop.runner(**changes), threading.Event()
        self.thread = threading.Thread(target=self.runner.run, args=(self.stop,))

    def __enter__(self) -> Threads:
        self.thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop.set()
        self.runner.wake()
        self.thread.join(30)
        assert not self.thread.is_alive()


def until(what: str, check: Callable[[], Any]) -> None:
    wait_until(what, check, 30, 0.01)


def test_many_rows_run_on_a_few_threads(shop: Shop) -> None:
    for n in range(60):
        shop.add(f"t{n}", state="closing")
    with Threads(shop):
        until("all are closed", lambda: not lifecycle_store.due(shop.db, "thing", shop.clock.us, 100))
        until("every lease is given back", lambda: lifecycle_store.holders(shop.db, "thing") == [])
        shop.add("late", state="closing")
        until("the poll sees a row that nobody told of", lambda: shop.here("late").state == "closed")
    assert {shop.here(f"t{n}").state for n in range(60)} == {"closed"}


def test_while_every_thread_is_busy_nothing_is_asked_of_the_database(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, asked = threading.Event(), threading.Event(), 0
    true = lifecycle_store.due

    def due(*words: Any) -> list[str]:
        nonlocal asked
        asked += 1
        return true(*words)

    def before(verb: str) -> None:
        begun.set()
        assert go.wait(30)

    monkeypatch.setattr(lifecycle_store, "due", due)
    shop.engine.before = before
    shop.add(state="closing")
    shop.add("t2", state="closing")
    stop, runner = threading.Event(), Runner(shop.tools, [life(shop.engine)], threads=1)
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        assert begun.wait(30)
        at = asked
        assert not stop.wait(0.5) and asked <= at + 1
        go.set()
        until("the other's turn came", lambda: shop.here("t2").state == "closed")
    finally:
        go.set()
        stop.set()
        runner.wake()
        thread.join(30)
    assert not thread.is_alive()


def test_a_long_step_keeps_its_lease(shop: Shop) -> None:
    begun, go = threading.Event(), threading.Event()

    def before(verb: str) -> None:
        begun.set()
        assert go.wait(30)

    shop.engine.before = before
    shop.add(state="closing")
    with Threads(shop) as threads:
        assert begun.wait(30)
        first = shop.here().lease_us
        shop.clock.advance(LEASE_SECONDS / 2)
        threads.runner.wake()
        until("the lease is prolonged", lambda: shop.here().lease_us > first)
        go.set()
        until("it is done", lambda: shop.here().state == "closed")


def test_a_stop_waits_for_the_step_and_begins_no_other(shop: Shop) -> None:
    begun, go = threading.Event(), threading.Event()

    def making(thing: Thing) -> Next:
        begun.set()
        assert go.wait(30)
        return Next("settling")

    shop.add()
    shop.add("t2")
    with Threads(shop, steps={"making": making, "settling": lambda thing: Next("ready")}) as threads:
        assert begun.wait(30)
        threads.stop.set()
        go.set()
    row = shop.here()
    assert (row.state, row.holder, row.lease_us, row.due_us) == ("settling", "", 0, shop.clock.us)
    assert lifecycle_store.holders(shop.db, "thing") == []
    threads.runner.work("thing", "t1")
    assert shop.here().state == "settling", "it has stopped for good"


def test_a_failing_database_ends_no_runner(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    true, failures = lifecycle_store.due, [ValueError("odd"), Unavailable("the database is down")]

    def due(*words: Any) -> list[str]:
        if failures:
            raise failures.pop()
        return true(*words)

    monkeypatch.setattr(lifecycle_store, "due", due)
    shop.add(state="closing")
    with Threads(shop) as threads:
        until("it goes on", lambda: threads.runner.wake() or shop.here().state == "closed")
    causes = [line["cause"] for line in shop.log() if line["event"] == "work.runner"]
    assert causes == ["the database is down", "ValueError('odd')"]


def test_a_row_whose_failure_cannot_be_written_is_taken_again(shop: Shop) -> None:
    """Its giving up leads where no move goes: a defect of the lifecycle, which must not stop the others."""
    shop.add()
    shop.add("t2", state="closing")
    steps: dict[str, Any] = {**life(shop.engine).steps, "making": lambda thing: Next("closed")}
    with Threads(shop, steps=steps, moves={**MOVES, "making": frozenset({"settling"})}):
        until("the other goes on", lambda: shop.here("t2").state == "closed")
        until("the lease is given back", lambda: shop.here().holder == "")
    assert shop.here().due_us == shop.clock.us + 1_000_000
    assert any(line["event"] == "work.row" and line["id"] == "t1" for line in shop.log())
