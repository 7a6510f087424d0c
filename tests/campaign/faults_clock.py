"""The machine's clock jumps a year ahead and a year back, for all processes at once."""

from __future__ import annotations

import time

from tests.campaign.faults_calls import settled
from tests.campaign.faults_report import Report
from tests.campaign.faults_site import SMALL, Site, alerts, content, md5_of
from tests.support.installation import wait_until

YEAR = 365 * 86_400.0
LIFECYCLE = (
    b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>ruled/</Prefix></Filter>"
    b"<Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
)


def jumps(site: Site, report: Report) -> None:
    """There and back: what was valid is refused, nothing is removed, no lock opens, and all is as before afterwards."""
    shim = site.installation.shim
    assert shim is not None
    _prepared(site)
    for word, seconds in (("a year ahead", YEAR), ("a year back", -YEAR)):
        fault = f"clock {word}"
        since = site.installation.log_size
        begin = time.time()
        shim.shift_clock(seconds)
        signed = site.s3("GET", "/box/little")
        report.check(fault, "S3 GET signed now", signed.word, "" if signed.status == 403 else signed.text[:200])
        token = site.identity("GET", "/auth/projects")
        expected = 401 if seconds > 0 else 200
        report.check(fault, "token from before", token.word, "" if token.status == expected else token.text[:200])
        word_of_alert = "clock.ahead" if seconds > 0 else "clock.back"
        wait_until("an alert", lambda: word_of_alert in {a["event"] for a in alerts(site.installation, since)}, 90)  # noqa: B023
        report.check(fault, "alert", word_of_alert)
        shim.shift_clock(0)
        report.check(fault, "for", f"{time.time() - begin:.0f} s")
        again = site.s3("GET", "/box/little")
        report.check(fault, "set right: S3 GET", again.word, "" if again.ok else again.text[:200])
        for key in ("ruled/k", "dated", "locked"):
            found = site.s3("GET", f"/keep/{key}")
            report.check(fault, f"object {key}", found.word, "" if found.ok else "it is gone")
        put = site.s3("PUT", "/box/after", content("after", SMALL))
        report.check(fault, "set right: S3 PUT", put.word, "" if put.ok else put.text[:200])
    settled(site, report, "clock")


def _prepared(site: Site) -> None:
    assert site.s3("PUT", "/keep", x_amz_bucket_object_lock_enabled="true").ok
    done = site.s3("PUT", "/keep?lifecycle=", LIFECYCLE, content_md5=md5_of(LIFECYCLE))
    assert done.ok, done.text
    later = str(int(time.time()) + 20 * 86_400)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 10 * 86_400))
    assert site.s3("PUT", "/keep/ruled/k", b"data").ok
    assert site.swift("PUT", "/keep/dated", b"data", X_Delete_At=later).ok
    lock = {"x_amz_object_lock_mode": "COMPLIANCE", "x_amz_object_lock_retain_until_date": until}
    done = site.s3("PUT", "/keep/locked", b"data", content_md5=md5_of(b"data"), **lock)
    assert done.ok, done.text
