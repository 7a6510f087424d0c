"""The access documents of one container, parsed once per generation."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from andromede.errors import Invalid
from andromede.objects.access import acl, policy, public, swiftacl
from andromede.objects.access.acl import Acl
from andromede.objects.access.ownership import Ownership, ownership
from andromede.objects.access.policy import Policy
from andromede.objects.access.public import PublicAccessBlock
from andromede.objects.access.swiftacl import SwiftAcl
from andromede.objects.model import Container


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """Everything that the evaluator knows of a container."""

    policy: Policy | None
    policy_is_public: bool
    acl: Acl
    ownership: Ownership
    block: PublicAccessBlock
    read: SwiftAcl
    write: SwiftAcl


def parse(container: Container) -> BucketAccess:
    """The parsed documents. A stored policy that no longer parses denies everything, so that it opens nothing;
    managers of the owner project may still replace it."""
    documents, settings = container.documents, container.settings
    stored = documents.get("policy")
    try:
        parsed = policy.parse(stored, container.name, container.project_id) if stored else None
    except Invalid:
        parsed = policy.CLOSED
    return BucketAccess(
        policy=parsed,
        policy_is_public=parsed is not None and public.policy_is_public(parsed),
        acl=acl.effective(documents.get("acl"), container.project_id),
        ownership=ownership(container),
        block=public.load(documents.get("public_access_block")),
        read=swiftacl.load(settings.get("x-container-read", "")),
        write=swiftacl.load(settings.get("x-container-write", "")),
    )


class Cache:
    """Least recently used parsed documents, keyed by container and generation: never older than the row."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int, int], BucketAccess] = OrderedDict()
        self._last: tuple[tuple[int, int, int], BucketAccess] | None = None

    def of(self, container: Container) -> BucketAccess:
        """The documents of this very generation of the container."""
        # the creation time keeps a reused id apart from its predecessor
        key = (container.id, container.generation, container.created_us)
        last = self._last
        if last is not None and last[0] == key:  # one bucket is asked for many times in a row
            return last[1]
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                self._last = key, found
                return found
        found = parse(container)
        with self._lock:
            self._kept[key] = found
            self._last = key, found
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return found
