"""The short form of the campaign of faults: a running installation under failing calls and flipped bits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaign import faults_calls, faults_flips
from tests.campaign.faults_report import Report
from tests.campaign.faults_site import CHANGES, Site, running
from tests.support import faultshim

pytestmark = pytest.mark.skipif(bool(faultshim.missing()), reason=faultshim.missing() or "faults can be injected")
CHOSEN = [o for o in CHANGES if o.name in ("S3 PUT small", "S3 PUT large", "S3 DELETE", "Swift PUT large")]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running() as found:
        yield found


def test_a_disk_that_fails_for_a_while_refuses_and_recovers(site: Site) -> None:
    report = Report()
    faults_calls.lasting(site, report, [*CHOSEN, CHANGES[-1]])
    assert report.wrong == []


def test_each_failing_call_leaves_all_or_nothing(site: Site) -> None:
    report = Report()
    faults_calls.every_call(site, report, CHOSEN, step=4)
    faults_calls.settled(site, report, "failing calls")
    assert report.wrong == []


def test_flipped_bits_cost_the_object_they_are_in(site: Site) -> None:
    if site.installation.dsn.startswith("postgresql"):
        pytest.skip("rows are changed behind SQLite's back")
    report = Report()
    faults_flips.bodies(site, report)
    assert report.wrong == []
