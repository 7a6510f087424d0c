"""A clock that jumps is not believed at once."""

from __future__ import annotations

from andromede.clock import US, TrustedTime

HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0


class Machine:
    """A wall clock that can be set, beside a monotonic one that cannot."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000 * US, 50.0

    def now_us(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def sleep(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += int(seconds * US)

    def jump(self, seconds: float) -> None:
        self.wall += int(seconds * US)


def test_a_steady_clock_is_believed() -> None:
    machine = Machine()
    trusted = TrustedTime(machine)
    for _ in range(100):
        machine.sleep(60)
        machine.jump(0.5)  # it runs a little fast
        assert trusted.now_us() == machine.wall
    machine.jump(500)
    assert trusted.now_us() == machine.wall
    assert trusted.ahead_us() == 0


def test_a_jump_ahead_counts_after_a_steady_hour() -> None:
    machine = Machine()
    trusted = TrustedTime(machine)
    before = machine.wall
    machine.jump(YEAR)
    assert trusted.now_us() == before
    assert trusted.ahead_us() == int(YEAR * US)
    machine.sleep(HOUR / 2)
    assert trusted.now_us() == before + int(HOUR / 2 * US)
    machine.jump(YEAR)  # it jumps again: the hour begins anew
    machine.sleep(HOUR - 1)
    trusted.now_us()
    machine.sleep(HOUR - 2)
    assert trusted.now_us() < before + int(3 * HOUR * US)
    machine.sleep(3)
    assert trusted.now_us() == machine.wall


def test_a_jump_that_is_undone_never_counted() -> None:
    machine = Machine()
    trusted = TrustedTime(machine)
    machine.jump(YEAR)
    machine.sleep(600)
    trusted.now_us()
    machine.jump(-YEAR)
    assert trusted.now_us() == machine.wall


def test_a_clock_that_is_set_back_is_believed() -> None:
    machine = Machine()
    trusted = TrustedTime(machine)
    machine.jump(-YEAR)
    assert trusted.now_us() == machine.wall
    machine.jump(YEAR)  # and forward again: that is a jump ahead
    assert trusted.now_us() == machine.wall - int(YEAR * US)


def test_a_start_far_behind_the_last_run_is_a_jump() -> None:
    machine = Machine()
    last = machine.wall - int(DAY / 2 * US)
    assert TrustedTime(machine, last).now_us() == machine.wall
    last = machine.wall - int(30 * DAY * US)
    trusted = TrustedTime(machine, last)
    assert trusted.now_us() == last
    machine.sleep(HOUR)
    assert trusted.now_us() == machine.wall
    assert TrustedTime(machine, machine.wall + US).now_us() == machine.wall
