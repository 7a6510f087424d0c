"""Tag sets: their limits, the header form and the XML form (API reference, "Object tagging")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from andromede.errors import Invalid
from andromede.objects.s3.xml import Node, element

OBJECT_TAGS = 10
KEY_LENGTH = 128
VALUE_LENGTH = 256


def checked(pairs: Iterable[tuple[str, str]], limit: int = OBJECT_TAGS) -> dict[str, str]:
    """The tag set. Raises `Invalid` (InvalidTag) for too many, too long, empty or repeated keys."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not key or len(key) > KEY_LENGTH:
            raise Invalid(f"the tag key must have 1 to {KEY_LENGTH} characters", "invalid_tag")
        if len(value) > VALUE_LENGTH:
            raise Invalid(f"the value of tag {key!r} is longer than {VALUE_LENGTH} characters", "invalid_tag")
        if key in tags:
            raise Invalid(f"the tag {key!r} is given twice", "invalid_tag")
        tags[key] = value
    if len(tags) > limit:
        raise Invalid(f"at most {limit} tags are allowed here", "invalid_tag")
    return tags


def from_header(text: str) -> dict[str, str]:
    """The tag set of `x-amz-tagging`, a URL-encoded query."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise Invalid("x-amz-tagging is not a URL-encoded query", "invalid_argument") from error
    return checked(pairs)


def from_xml(root: Node, limit: int = OBJECT_TAGS) -> dict[str, str]:
    """The tag set of a `<Tagging>` document."""
    sets = root.only("TagSet").need("TagSet").only("Tag")
    return checked(((tag.need("Key").text, tag.need("Value").text) for tag in sets.children), limit)


def to_xml(tags: Mapping[str, str]) -> str:
    """The content of `<Tagging>`, in order of the keys."""
    rows = sorted(tags.items())
    inner = "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in rows)
    return f"<TagSet>{inner}</TagSet>"
