"""Lifecycle configurations: checked when put, parsed for the worker and for `x-amz-expiration`.

API reference, "PutBucketLifecycleConfiguration".
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

from andromede.clock import US
from andromede.errors import Invalid
from andromede.ids import Ids
from andromede.objects.lifecycle import Filter, Rule
from andromede.objects.model import Container
from andromede.objects.s3.xml import Node, document, element, malformed, parse

ROOT = "LifecycleConfiguration"
MAX_RULES = 1000
MAX_ID = 255
MAX_DAYS = 2**31 - 1
STORAGE_CLASSES = ("STANDARD",)
_ACTIONS = (
    "Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload", "Transition",
    "NoncurrentVersionTransition",
)  # fmt: skip


_INTEGER = re.compile("-?[0-9]{1,18}")


def _argument(why: str) -> Invalid:
    return Invalid(f"the lifecycle configuration is not acceptable: {why}", "invalid_argument")


def rules(root: Node) -> list[Rule]:
    """The rules of a `<LifecycleConfiguration>`; an absent ID is "". Raises Invalid."""
    listed = root.only("Rule").children
    if not 1 <= len(listed) <= MAX_RULES:
        raise malformed(f"there must be 1 to {MAX_RULES} rules")
    found = [_rule(node) for node in listed]
    ids = [rule.id for rule in found if rule.id]
    if len(set(ids)) != len(ids):
        raise _argument("two rules have the same ID")
    return found


def _rule(node: Node) -> Rule:
    node.only("ID", "Prefix", "Filter", "Status", *_ACTIONS)
    name = node.value("ID") or ""
    if len(name) > MAX_ID:
        raise _argument(f"an ID has at most {MAX_ID} characters")
    status = node.need("Status").text
    if status not in ("Enabled", "Disabled"):
        raise malformed("<Status> must be Enabled or Disabled")
    chosen = _filter(node)
    days, date_us, marker = _expiration(node.one("Expiration"), chosen)
    noncurrent, newer = _noncurrent(node.one("NoncurrentVersionExpiration"))
    abort = _abort(node.one("AbortIncompleteMultipartUpload"), chosen)
    for kind in ("Transition", "NoncurrentVersionTransition"):
        for transition in node.all(kind):
            _transition(transition)
    if not any(node.all(kind) for kind in _ACTIONS):
        raise Invalid("each lifecycle rule needs at least one action", "invalid_request")
    return Rule(name, status == "Enabled", chosen, days, date_us, marker, noncurrent, newer, abort)


def _filter(node: Node) -> Filter:
    old, new = node.one("Prefix"), node.one("Filter")
    if (old is None) == (new is None):
        raise malformed("a rule needs either <Filter> or <Prefix>")
    if new is None:
        assert old is not None
        return Filter(old.text)
    both = new.one("And")
    parts = [new, both] if both is not None else [new]
    new.only("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And")
    tags: list[tuple[str, str]] = []
    prefixes: list[str] = []
    sizes: dict[str, int | None] = {"ObjectSizeGreaterThan": None, "ObjectSizeLessThan": None}
    for part in parts:
        if part is both:
            part.only("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
        for tag in part.all("Tag"):
            tag.only("Key", "Value")
            tags.append((tag.need("Key").text, tag.need("Value").text))
        prefix = part.one("Prefix")
        if prefix is not None:
            prefixes.append(prefix.text)
        for name in sizes:
            size = part.one(name)
            if size is not None:
                sizes[name] = _whole(size, 0)
    if len({key for key, _ in tags}) != len(tags):
        raise Invalid("a lifecycle filter names the same tag key twice", "invalid_request")
    prefix_text = max(prefixes, key=len, default="")
    if not all(prefix_text.startswith(each) for each in prefixes):
        raise malformed("the prefixes of a filter contradict each other")
    more, less = sizes["ObjectSizeGreaterThan"], sizes["ObjectSizeLessThan"]
    if more is not None and less is not None and less <= more + 1:
        raise Invalid("ObjectSizeLessThan must be above ObjectSizeGreaterThan", "invalid_request")
    return Filter(prefix_text, tuple(tags), more, less)


def _whole(node: Node, least: int) -> int:
    text = node.text.strip()
    if not _INTEGER.fullmatch(text):
        raise malformed(f"<{node.name}> must be a whole number")
    value = int(text)
    if value < least or (value > MAX_DAYS and "Days" in node.name):
        raise _argument(f"'{node.name}' must be {'a positive integer' if least == 1 else f'at least {least}'}")
    return value


def _expiration(node: Node | None, chosen: Filter) -> tuple[int | None, int | None, bool]:
    if node is None:
        return None, None, False
    node.only("Days", "Date", "ExpiredObjectDeleteMarker")
    if len(node.children) != 1:
        raise malformed("<Expiration> holds exactly one of Days, Date and ExpiredObjectDeleteMarker")
    child = node.children[0]
    if child.name == "Days":
        return _whole(child, 1), None, False
    if child.name == "Date":
        return None, _midnight(child.text), False
    if child.text not in ("true", "false"):
        raise malformed("<ExpiredObjectDeleteMarker> must be true or false")
    if chosen.tags:
        raise Invalid(
            "ExpiredObjectDeleteMarker cannot stand with a tag filter: markers have no tags", "invalid_request"
        )
    return None, None, child.text == "true"


def _midnight(text: str) -> int:
    try:
        when = dt.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
        seconds = when.timestamp()
    except (ValueError, OverflowError):
        raise malformed("<Date> must be an ISO 8601 date") from None
    if seconds % 86400:
        raise _argument("'Date' must be at midnight GMT")
    return int(seconds) * US


def _noncurrent(node: Node | None) -> tuple[int | None, int]:
    if node is None:
        return None, 0
    node.only("NoncurrentDays", "NewerNoncurrentVersions")
    newer = node.one("NewerNoncurrentVersions")
    kept = _whole(newer, 1) if newer is not None else 0
    if kept > 100:
        raise _argument("'NewerNoncurrentVersions' must be at most 100")
    return _whole(node.need("NoncurrentDays"), 1), kept


def _abort(node: Node | None, chosen: Filter) -> int | None:
    if node is None:
        return None
    node.only("DaysAfterInitiation")
    if not chosen.prefix_only:
        raise Invalid("AbortIncompleteMultipartUpload can only be filtered by prefix", "invalid_request")
    return _whole(node.need("DaysAfterInitiation"), 1)


def _transition(node: Node) -> None:
    node.only("Days", "Date", "NoncurrentDays", "NewerNoncurrentVersions", "StorageClass")
    for child in node.children:
        if child.name == "Date":
            _midnight(child.text)
        elif child.name != "StorageClass":
            _whole(child, 0)
    chosen = node.need("StorageClass").text
    if chosen not in STORAGE_CLASSES:
        raise Invalid(
            f"storage class {chosen[:64]!r} does not exist here; transitions go between {', '.join(STORAGE_CLASSES)}",
            "storage_class",
        )


def stored_form(root: Node, ids: Ids) -> bytes:
    """The document as given, an ID added to each rule that has none."""
    for node in root.children:
        if not node.value("ID"):
            node.children = [Node("ID", ids.dashed()), *(child for child in node.children if child.name != "ID")]
    return document(ROOT, "".join(_serial(child) for child in root.children))


def _serial(node: Node) -> str:
    if not node.children:
        return element(node.name, node.text)
    return f"<{node.name}>{''.join(_serial(child) for child in node.children)}</{node.name}>"


@lru_cache(maxsize=1024)
def _parsed(stored: bytes) -> tuple[Rule, ...]:
    return tuple(rules(parse(stored, ROOT)))


def rules_of(container: Container) -> tuple[Rule, ...]:
    """The rules of a container, none when it has no configuration."""
    stored = container.documents.get("lifecycle")
    return _parsed(stored) if stored else ()
