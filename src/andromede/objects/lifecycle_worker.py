"""Carries lifecycle rules out: walks the containers that have some, in pages, and removes what is due.

The walk keeps nothing that a restart could lose: what is due is found again. Every removal is an ordinary
delete of the service, so locks hold, versions get their markers, keys are destroyed, and each leaves its
audit event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from andromede.clock import US, Clock, Wall
from andromede.errors import Denied, Error
from andromede.log import Log
from andromede.objects.commit import Step
from andromede.objects.lifecycle import DAY_SECONDS, Place, Rule, abandoned, expired
from andromede.objects.model import Conditions, Container, DeleteOptions, Trace, Upload, Version, VersionQuery
from andromede.objects.service import Objects
from andromede.work import Reconciler

PAGE = 1000
BATCH = 100
LIMIT = 10_000
ACTOR = "system:lifecycle"
PURPOSE = "OPERATOR_SYSTEM"


@dataclass(slots=True)
class Tally:
    """What a turn did."""

    containers: int = 0
    removed: int = 0
    aborted: int = 0
    refused: int = 0


class LifecycleWorker:
    """`turn` visits each container with rules once a day, and at once when its rules changed.

    `rules_of` reads a container's rules. With a day of other length than 86,400 s (tests) every turn
    visits every container. At most `limit` removals per turn; the rest waits for the next one."""

    def __init__(
        self,
        objects: Objects,
        rules_of: Callable[[Container], Sequence[Rule]],
        clock: Clock,
        log: Log,
        day_seconds: int = DAY_SECONDS,
    ) -> None:
        self._objects = objects
        self._rules_of = rules_of
        self._clock: Wall = clock if day_seconds != DAY_SECONDS else objects.trusted
        self._log = log
        self._day_seconds = day_seconds
        # container id -> (generation, day) of its last whole visit; lost on restart, which only repeats a visit
        self._visited: dict[int, tuple[int, int]] = {}

    def reconciler(self, every: float) -> Reconciler:
        """The turn as a task of the work role."""
        return Reconciler("objects.lifecycle", every, self._more)

    def _more(self) -> bool:
        tally = self.turn(LIMIT)
        return tally.removed + tally.aborted >= LIMIT

    def turn(self, limit: int = 100_000) -> Tally:
        """Remove what is due now, as far as `limit` goes."""
        tally = Tally()
        after = 0
        while page := self._objects.containers_with("lifecycle", after, 100):
            for container in page:
                after = container.id
                stamp = (container.generation, self._clock.now_us() // US // self._day_seconds)
                if self._day_seconds == DAY_SECONDS and self._visited.get(container.id) == stamp:
                    continue
                if self._visit(container, limit, tally):
                    self._visited[container.id] = stamp
                if tally.removed + tally.aborted >= limit:
                    return tally
        return tally

    def _visit(self, container: Container, limit: int, tally: Tally) -> bool:
        """Visit one container; True when nothing is left over. A damaged one does not stop the others."""
        tally.containers += 1
        try:
            rules = [rule for rule in self._rules_of(container) if rule.enabled]
            self._abort(container, rules, tally)
            return self._expire(container, rules, limit, tally)
        except Error as error:
            self._log.alert("lifecycle visit failed", container=container.id, why=error.public, cause=error.cause)
            return False

    # --- versions
    def _expire(self, container: Container, rules: Sequence[Rule], limit: int, tally: Tally) -> bool:
        prefix = _common(rule.filter.prefix for rule in rules)
        due: list[Step[Any]] = []
        for version, place in placed(self._versions(container, prefix)):
            rule = expired(rules, version, place, self._clock.now_us(), self._day_seconds)
            if rule is not None:
                due.append(self._removal(container, version, place, rule))
            if len(due) >= BATCH:
                self._run(due, tally)
                due = []
                if tally.removed + tally.aborted >= limit:
                    return False
        self._run(due, tally)
        return True

    def _versions(self, container: Container, prefix: str) -> Iterator[Version]:
        query = VersionQuery(prefix=prefix, limit=PAGE)
        while True:
            page = self._objects.list_versions(container, query)
            last: Version | None = None
            for entry in page.entries:
                if isinstance(entry, Version):
                    last = entry
                    yield entry
            if not page.truncated or last is None:
                return
            query = VersionQuery(prefix=prefix, after_key=last.key, after_id=last.shown_id, limit=PAGE)

    def _removal(self, container: Container, version: Version, place: Place, rule: Rule) -> Step[Any]:
        trace = self._trace("s3:LifecycleExpiration:Delete", rule)
        if place.noncurrent_index is not None or version.is_marker:
            return self._objects.delete(container, version.key, version.shown_id, DeleteOptions(), trace)
        # only the very version that was looked at: a put in between starts a new life
        same = Conditions(
            if_match=f'"{version.etag}"', if_match_last_modified_us=version.created_us, if_match_size=version.size
        )
        return self._objects.delete(container, version.key, None, DeleteOptions(conditions=same), trace)

    # --- uploads
    def _abort(self, container: Container, rules: Sequence[Rule], tally: Tally) -> None:
        chosen = [rule for rule in rules if rule.abort_days is not None]
        if not chosen:
            return
        prefix = _common(rule.filter.prefix for rule in chosen)
        key = upload_id = ""
        while True:
            page = self._objects.list_uploads(container, prefix, "", key, upload_id, PAGE)
            due: list[Step[Any]] = []
            for upload in page.entries:
                if not isinstance(upload, Upload):
                    continue
                rule = abandoned(chosen, upload, self._clock.now_us(), self._day_seconds)
                if rule is not None:
                    due.append(self._objects.abort_upload(upload, self._trace("s3:LifecycleExpiration:Abort", rule)))
            outcomes = self._objects.run_all(due)
            tally.aborted += sum(self._done(outcome, tally) for outcome in outcomes)
            if not page.truncated:
                return
            key, upload_id = page.last_key, page.last_id

    # --- carrying out
    def _run(self, steps: list[Step[Any]], tally: Tally) -> None:
        """A batch that shares commits; its size and the wait for it are the back pressure."""
        tally.removed += sum(self._done(outcome, tally) for outcome in self._objects.run_all(steps))

    def _done(self, outcome: object, tally: Tally) -> bool:
        if isinstance(outcome, Denied):
            # under retention or hold; a later turn asks again
            tally.refused += 1
        elif isinstance(outcome, Error):
            # overtaken by a client, or damaged; a later turn looks again
            self._log.event("lifecycle removal skipped", why=outcome.public)
        return not isinstance(outcome, Error)

    def _trace(self, action: str, rule: Rule) -> Trace:
        return Trace(None, action, f"lifecycle-{rule.id}", door="worker", purpose=PURPOSE, label=ACTOR)


def placed(versions: Iterator[Version]) -> Iterator[tuple[Version, Place]]:
    """Each version (newest first within its key) with its place among those of the key."""
    above: Version | None = None
    index = -1
    current = next(versions, None)
    while current is not None:
        below = next(versions, None)
        if above is None or above.key != current.key:
            index = -1
            alone = below is None or below.key != current.key
            yield current, Place(alone=alone)
        else:
            index += 1
            yield current, Place(noncurrent_index=index, newer_us=above.created_us)
        above, current = current, below


def _common(prefixes: Iterator[str]) -> str:
    """The longest prefix that all share: no key outside it can be due."""
    found = list(prefixes)
    if not found:
        return ""
    low, high = min(found), max(found)
    length = next((i for i, char in enumerate(low) if high[i : i + 1] != char), len(low))
    return low[:length]
