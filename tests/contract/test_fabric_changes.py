"""A network that is changed port by port: the kernel ends as after the whole, wherever the way there was cut off."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from andromede.engines.linux import names, nft
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from andromede.engines.linux.leaks import leaks
from andromede.engines.memory_network import MemoryFabric
from andromede.network.engine import HOUSE, NONE, TAP, GroupPart, NetworkChange, NetworkPart, PairPart, RulePart
from tests.contract.test_fabric import Ended, Killer, picture
from tests.support import fabric as f
from tests.support.guests import Guest, answer, answers, echo

S, SIX = f.subnet("a"), f.subnet("six", "fd00:a::/64", dhcp_address="fd00:a::2", gateway="fd00:a::1")
MUTUAL = GroupPart(f.ident("mutual"), tuple(RulePart(way, v) if not way else RulePart(way, v, group=f.ident("mutual"))
                                            for way in (True, False) for v in (4, 6)))  # fmt: skip


def _network(generation: int, numbers: dict[int, dict[str, Any]]) -> NetworkPart:
    """Ports by number, with what is particular about them."""
    ports = tuple(f.port(f"t{n}", f"10.0.0.{n}", S, **{"groups": (MUTUAL.id,), "kind": TAP, **more})
                  for n, more in sorted(numbers.items()))  # fmt: skip
    held = [port for port in ports if MUTUAL.id in port.groups]
    texts = [one.address for port in held for one in port.fixed] + [one.address for p in held for one in p.pairs]
    mutual = dataclasses.replace(MUTUAL, members=tuple(sorted(texts)))
    ports = tuple(sorted(ports, key=lambda port: port.id))
    return f.network("n", (S, SIX), ports, groups=(mutual, f.OPEN), generation=generation)


@pytest.fixture
def real() -> Iterator[tuple[LinuxFabric, Host]]:
    if why := f.why_not():
        pytest.skip(f"the kernel's fabric: {why}")
    with f.real() as made:
        yield made


@pytest.fixture(params=["twin", "real"])
def fabric(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "real":
        yield request.getfixturevalue("real")[0]
        return
    twin = MemoryFabric()
    yield twin
    twin.close()


def _change(old: NetworkPart, new: NetworkPart) -> NetworkChange:
    change = f.difference(old, new)
    assert change is not None
    return change


def test_ports_come_and_go(fabric: Any) -> None:
    first = _network(1, {11: {}, 12: {}})
    second = _network(2, {11: {"up": False}, 13: {}, 14: {"kind": NONE}})
    assert not fabric.change(_change(first, second)), "it was never made"
    assert fabric.observe(first.id) is None
    fabric.ensure(first)
    assert fabric.change(_change(first, second))
    wired = fabric.observe(first.id)
    assert (wired.generation, wired.ports, wired.faults) == (2, {f.ident("t13")}, ())
    os.close(fabric.plug(f.ident("t13")))
    third = _network(5, {11: {}})
    assert fabric.change(_change(second, third))
    wired = fabric.observe(first.id)
    assert (wired.generation, wired.ports) == (5, {f.ident("t11")})
    assert not fabric.change(_change(first, second)), "it has gone on"
    wired = fabric.observe(first.id)
    assert (wired.generation, wired.ports) == (5, {f.ident("t11")})
    fabric.ensure(third)
    fabric.remove(first.id)
    assert not fabric.change(_change(third, _network(6, {}))), "it is gone"


def _texts(host: Host, network_id: str) -> dict[str, str]:
    """What the daemon was told."""
    folder = host.folder(network_id)
    return {name: (folder / name).read_text() for name in ("conf", "hosts", "names", "options")}


def _walk(seed: int) -> list[NetworkPart]:
    chance = random.Random(seed)
    numbers: dict[int, dict[str, Any]] = {11: {}, 12: {}, 13: {"groups": (f.OPEN.id,)}}
    found = [_network(1, numbers)]
    for turn in range(2, 20):
        for number in chance.sample(range(11, 19), chance.choice([1, 1, 2])):
            if number in numbers and number > 13 and chance.random() < 0.4:
                del numbers[number]
                continue
            mac = f.mac(f"t{number}")
            numbers[number] = chance.choice([
                {}, {"up": False}, {"kind": NONE}, {"kind": HOUSE}, {"groups": (f.OPEN.id,)}, {"secured": False},
                {"groups": ()}, {"pairs": (PairPart(mac, f"10.0.0.{number + 100}"),)}, {"name": "web"},
            ])  # fmt: skip
        numbers[12] = {}
        numbers[13] = {"groups": (f.OPEN.id,)}
        found.append(_network(turn, dict(numbers)))
    return found


def test_the_kernel_ends_as_after_the_whole(real: tuple[LinuxFabric, Host]) -> None:
    fabric, host = real
    steps = _walk(5)
    fabric.ensure(steps[0])
    for old, new in itertools.pairwise(steps):
        assert fabric.change(_change(old, new)), new
    found, told = picture(host), _texts(host, steps[0].id)
    assert leaks(host, [steps[-1]]) == []
    fabric.remove(steps[0].id)
    fabric.ensure(steps[-1])
    assert found == picture(host)
    assert told == _texts(host, steps[0].id)


def test_who_is_ended_at_any_step_of_a_change_mends_it_at_the_next(real: tuple[LinuxFabric, Host]) -> None:
    _, host = real
    first = _network(1, {11: {}, 12: {"kind": HOUSE}, 13: {}})
    second = _network(2, {11: {"groups": (f.OPEN.id,)}, 13: {"kind": HOUSE}, 14: {}})
    change = _change(first, second)
    LinuxFabric(host).ensure(second)
    aim = picture(host)
    at = 0
    while True:
        at += 1
        fabric = LinuxFabric(Host(host.installation, host.runtime, killer := Killer(0)))
        fabric.ensure(first)
        killer.at = killer.seen + at
        try:
            assert fabric.change(change)
        except Ended:
            if at % 2:  # the same process goes on: it forgot what it knew
                killer.at = 0
                assert not fabric.change(change)
                fabric.ensure(second)
            else:
                LinuxFabric(host).ensure(second)
        else:
            break
        assert picture(host) == aim, f"after the end at step {at}"
    assert picture(host) == aim
    assert at > 8


def test_what_a_stranger_changed_is_for_the_whole(real: tuple[LinuxFabric, Host]) -> None:
    fabric, host = real
    first, second, third = _network(1, {11: {}}), _network(2, {11: {}, 12: {}}), _network(3, {12: {}})
    own = names.namespace(host.installation, "n", first.id)
    for words in ("nft flush ruleset", "ip link set lo alias stranger", "ip link del br0"):
        fabric.ensure(first)
        assert f.run_in(own, *words.split()).returncode == 0
        assert not fabric.change(_change(first, second)), words
        fabric.ensure(second)
        assert fabric.change(_change(second, third)), words
        first, second, third = (dataclasses.replace(one, generation=one.generation + 3) for one in
                                (first, second, third))  # fmt: skip


def test_connections_end_with_the_port_that_they_were_let_to(real: tuple[LinuxFabric, Host]) -> None:
    fabric, host = real
    houses: dict[int, dict[str, Any]] = {11: {"kind": HOUSE}, 12: {"kind": HOUSE}, 13: {"kind": HOUSE}}
    first = _network(1, houses)
    fabric.ensure(first)
    second = _network(2, houses | {13: {"kind": HOUSE, "groups": ()}})
    found = {port.fixed[0].address[-2:]: port for port in first.ports}
    a, b, c = (
        Guest.of(host.installation, found[word].id, found[word].fixed[0].address, found[word].mac)
        for word in ("11", "12", "13")
    )
    with echo(b, 80, "B"):
        kept, ended = a.connect("10.0.0.12", 80), c.connect("10.0.0.12", 80)
        assert kept is not None and ended is not None
        with kept, ended:
            assert kept.recv(9) == ended.recv(9) == b"B"
            assert fabric.change(_change(first, second))
            assert answers(kept) and not answers(ended)
            assert c.connect("10.0.0.12", 80, 0.3) is None
        assert fabric.change(_change(second, _network(3, houses)))
        assert answer(c, "10.0.0.12", 80) == "B"


@pytest.mark.parametrize("library", [nft.LIBRARY, "no-such-library.so"])
def test_rules_that_nft_refuses_are_for_the_whole(
    real: tuple[LinuxFabric, Host], monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """By the library, and by the program where there is no library."""
    monkeypatch.setattr(nft, "LIBRARY", library)
    nft._library.cache_clear()
    fabric, host = real
    first, second, third = _network(1, {11: {}, 12: {}}), _network(2, {12: {}, 13: {}}), _network(3, {13: {}})
    fabric.ensure(first)
    assert fabric.change(_change(first, second))
    own, tap = names.namespace(host.installation, "n", first.id), names.tap(f.ident("t12"))
    assert f.run_in(own, "nft", "delete", "element", "bridge", "ps", "dev", f'{{ "{tap}" }}').returncode == 0
    assert not fabric.change(_change(second, third))
    fabric.ensure(third)
    assert fabric.change(_change(third, dataclasses.replace(second, generation=4)))
    monkeypatch.undo()
    nft._library.cache_clear()
