"""The bench's arithmetic: a figure in the docs is only as good as the median, the ratio and the parser behind it."""

from __future__ import annotations

import pytest

from bench.figures import Case, Results, cases_of, milliseconds, of_wrk, percentile, size_of, size_text, turns

WRK = """Running 2s test @ http://127.0.0.1:8701
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    15.10ms    4.20ms  60.00ms   70.00%
    Req/Sec     4.21k   310.00     4.80k    71.00%
  Latency Distribution
     50%   14.20ms
     75%   17.00ms
     90%   20.00ms
     99%    1.02s
  8000 requests in 2.00s, 1.50MB read
Requests/sec:   4000.00
Transfer/sec:    768.00KB
"""


def line(peer: str, case: str, number: int, rate: float, cpu: float = 1.0) -> dict[str, object]:
    return {"peer": peer, "case": case, "round": number, "rate": rate, "cpu_us": cpu, "failures": number}


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("4KiB", 4096), ("64MiB", 64 << 20), ("3GiB", 3 << 30)])
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(("size", "text"), [(1, "1"), (4096, "4KiB"), (1000, "1000"), (64 << 20, "64MiB")])
def test_a_size_is_told_in_its_shortest_form(size: int, text: str) -> None:
    assert (size_text(size), size_of(text)) == (text, size)


@pytest.mark.parametrize("text", ["", "4K", "4kib", "-1", "KiB", "4 KiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_of(text)


def test_cases_are_read_and_written_alike() -> None:
    for text in ("put:4KiB:64", "get:64MiB:4", "list:1000:4", "validate:1:16"):
        assert str(Case.of(text)) == text
    assert Case.of("put:4KiB:64") == Case("put", 4096, 64)
    assert Case.of("put:1MiB:1").large and not Case.of("put:64KiB:1").large and not Case.of("list:1000:4").large


def test_alternatives_are_multiplied_and_each_case_comes_once() -> None:
    found = [str(case) for case in cases_of("put+get:4KiB+64KiB:1+16,get:4KiB:1")]
    assert found == [
        *("put:4KiB:1", "get:4KiB:1", "put:4KiB:16", "get:4KiB:16"),
        *("put:64KiB:1", "get:64KiB:1", "put:64KiB:16", "get:64KiB:16"),
    ]
    assert cases_of("") == []


@pytest.mark.parametrize("text", ["put", "put:4KiB", "copy:4KiB:1", "put:4KiB:0", "put:4KiB:x", "put:4KiB:1:2"])
def test_what_is_no_case(text: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        cases_of(text)


def test_everyone_is_first_equally_often_and_the_order_alternates() -> None:
    names = ["a", "b", "c"]
    orders = [turns(names, turn) for turn in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert {name: sum(order[0] == name for order in orders) for name in names} == {"a": 2, "b": 2, "c": 2}
    assert all(orders[turn + 1] == orders[turn][::-1] for turn in (0, 2, 4))


def test_percentiles() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([], 0.5)) == (51.0, 100.0, 0.0)
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(("text", "value"), [("310.00us", 0.31), ("1.25ms", 1.25), ("2.10s", 2100), ("1.5m", 90_000)])
def test_times_of_wrk(text: str, value: float) -> None:
    assert milliseconds(text) == pytest.approx(value)


def test_what_wrk_prints() -> None:
    assert of_wrk(WRK) == {"operations": 8000, "rate": 4000.0, "p50": 14.2, "p99": 1020.0, "failures": 0}


def test_refused_requests_are_failures_and_no_operations() -> None:
    found = of_wrk(
        WRK.replace(
            "Transfer",
            "  Socket errors: connect 1, read 2, write 0, timeout 3\n  Non-2xx or 3xx responses: 2000\nTransfer",
        )
    )
    assert (found["operations"], found["rate"], found["failures"]) == (6000, 3000.0, 2006)


@pytest.mark.parametrize("text", ["", WRK.replace("99%", "98%"), WRK.replace("requests in", "in")])
def test_figures_that_are_missing_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="wrk printed no figures"):
        of_wrk(text)


def test_the_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    """Not the ratio of medians: a slow minute hits both sides of its round."""
    mine, theirs = (10.0, 40.0, 90.0), (10.0, 10.0, 30.0)
    lines = [line("a", "x", number, rate) for number, rate in enumerate(mine)]
    lines += [line("b", "x", number, rate) for number, rate in enumerate(theirs)]
    found = Results(lines)
    assert found.ratio("a", "b", "x", "rate") == 3.0
    assert found.median("a", "x", "rate") == 40.0
    assert found.failures == 6


def test_only_rounds_that_both_finished_are_compared() -> None:
    found = Results([line("a", "x", 0, 100.0), line("a", "x", 1, 10.0), line("b", "x", 1, 5.0), line("b", "y", 0, 4.0)])
    assert found.ratio("a", "b", "x", "rate") == 2.0
    assert found.ratio("a", "b", "x", "rate", "y") == 25.0
    assert found.ratio("b", "a", "y", "rate") is None
    assert found.median("c", "x", "rate") is None
    assert found.cases == ["x", "y"]
