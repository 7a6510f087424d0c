"""Bodies of requests: members of JSON objects with their rules, and the words for what breaks them."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from typing import Any

from andromede import addresses
from andromede.errors import Invalid

YES = frozenset({"true", "1", "on", "yes", "t", "y"})
NO = frozenset({"false", "0", "off", "no", "f", "n"})
MOST = 2147483647
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


def refuse(name: str, value: Any, why: str) -> Invalid:
    """The error of a member that breaks a rule, its value cut."""
    shown = str(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return Invalid(f"Invalid input for field/attribute {name}. Value: {shown}. {why}", "schema")


def is_uuid(value: object) -> bool:
    """Whether this is a UUID as OpenStack accepts them: with or without dashes, any case."""
    try:
        plain = str(uuid.UUID(str(value))).replace("-", "")
    except ValueError:
        return False
    return str(value).lower().replace("-", "").strip("{}").removeprefix("urn:uuid:") == plain


def truth(name: str, value: Any) -> bool:
    """A truth value in any of Nova's spellings."""
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if isinstance(value, (str, int)) and word in YES | NO:
        return word in YES
    raise refuse(name, value, f"{value!r} is not a boolean.")


class Fields:
    """A JSON object of a body. `where` names it in errors."""

    def __init__(self, raw: Any, where: str) -> None:
        if not isinstance(raw, Mapping):
            raise refuse(where, raw, f"{raw!r} is not of type 'object'.")
        self.raw: Mapping[str, Any] = raw
        self.where = where

    @classmethod
    def of(cls, body: Any, key: str, *beside: str) -> Fields:
        """The object under the one key of a body; `beside` are other keys that may stand there."""
        outer = cls(body, "body")
        outer.only(key, *beside)
        if key not in outer.raw:
            raise Invalid(f"Invalid input: {key!r} is a required property of the body.", "schema")
        return cls(outer.raw[key], key)

    def __contains__(self, name: str) -> bool:
        return name in self.raw

    def get(self, name: str) -> Any:
        """The raw member, None when absent."""
        return self.raw.get(name)

    def only(self, *names: str) -> None:
        """Refuse members of other names."""
        unknown = sorted(str(name) for name in self.raw if name not in names)
        if unknown:
            listed = ", ".join(repr(name) for name in unknown[:5])
            verb = "was" if len(unknown) == 1 else "were"
            raise refuse(
                self.where, listed, f"Additional properties are not allowed ({listed} {verb} unexpected)."
            )  # fmt: skip

    def need(self, *names: str) -> None:
        """Refuse the object without these members."""
        for name in names:
            if name not in self.raw:
                raise Invalid(f"Invalid input for {self.where}: {name!r} is a required property.", "schema")

    def text(self, name: str, low: int = 0, high: int = 255, null: bool = False) -> str | None:
        """A string of `low` to `high` characters, None when absent (or null where that is allowed)."""
        if name not in self.raw or (null and self.raw[name] is None):
            return None
        value = self.raw[name]
        if not isinstance(value, str):
            raise refuse(name, value, f"{value!r} is not of type 'string'.")
        if len(value) < low:
            raise refuse(name, value, f"{value!r} is too short.")
        if len(value) > high:
            raise refuse(name, value, f"it is longer than {high} characters.")
        return value

    def name(self, name: str, high: int = 255) -> str | None:
        """A string of 1 to `high` printable characters that does not begin or end with a blank."""
        value = self.text(name, 1, high)
        if value is not None and (_UNPRINTABLE.search(value) or value != value.strip()):
            raise refuse(name, value, "It must hold printable characters and not begin or end with blanks.")
        return value

    def integer(self, name: str, low: int = 0, high: int = MOST) -> int | None:
        """A whole number, also as text."""
        value = self.raw.get(name)
        if name not in self.raw:
            return None
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
            raise refuse(name, value, f"{value!r} is not of type 'integer'.")
        number = int(str(value))
        if number < low:
            raise refuse(name, value, f"{value} is less than the minimum of {low}.")
        if number > high:
            raise refuse(name, value, f"{value} is greater than the maximum of {high}.")
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        return truth(name, self.raw[name]) if name in self.raw else default

    def choice(self, name: str, *words: str) -> str | None:
        """One of some words."""
        value = self.raw.get(name)
        if name in self.raw and value not in words:
            raise refuse(name, value, f"{value!r} is not one of {list(words)}.")
        return value

    def uuid(self, name: str) -> str | None:
        """A UUID."""
        value = self.raw.get(name)
        if name in self.raw and not (isinstance(value, str) and is_uuid(value)):
            raise refuse(name, value, f"{value!r} is not a 'uuid'.")
        return value

    def base64(self, name: str, high: int = 65535) -> str | None:
        """Base64 text of at most `high` characters."""
        value = self.text(name, 0, high, null=True)
        if value is not None:
            try:
                base64.b64decode(re.sub(r"\s", "", value), validate=True)
            except (binascii.Error, ValueError) as error:
                raise refuse(name, value, f"{name} is not 'base64'.") from error
        return value

    def address(self, name: str, version: int) -> str | None:
        """An IP address of this version in its shortest form, "" allowed."""
        value = self.text(name, 0, 64)
        if value:
            try:
                found = addresses.address(value)
                if found.version == version:
                    return str(found)
            except ValueError:
                pass
            raise refuse(name, value, f"{value!r} is not a 'ipv{version}'.")
        return value

    def objects(self, name: str, most: int = 256) -> list[Fields]:
        """A list of objects."""
        value = self.raw.get(name)
        if name not in self.raw:
            return []
        if not isinstance(value, list) or len(value) > most:
            raise refuse(name, value, f"It must be a list of at most {most} objects.")
        return [Fields(item, f"{name}[{number}]") for number, item in enumerate(value)]

    def metadata(self, name: str) -> dict[str, str]:
        """Names of 1 to 255 letters with values of at most 255 characters."""
        return metadata(self.raw.get(name, {}), name)


def items(body: Any) -> dict[str, str]:
    """The metadata of a body: `{"metadata": {...}}`."""
    fields = Fields(body, "body")
    fields.only("metadata")
    fields.need("metadata")
    return fields.metadata("metadata")


def item(body: Any, key: str) -> dict[str, str]:
    """The one item of a body for `.../metadata/{key}`: `{"meta": {key: value}}`."""
    fields = Fields(body, "body")
    fields.only("meta")
    fields.need("meta")
    found = metadata(fields.get("meta"), "meta")
    if list(found) != [key]:
        raise Invalid("Request body and URI mismatch", "metadata")
    return found


_META = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")


def metadata(raw: Any, where: str = "metadata") -> dict[str, str]:
    """Metadata of a server."""
    if not isinstance(raw, Mapping):
        raise refuse(where, raw, f"{raw!r} is not of type 'object'.")
    for key, value in raw.items():
        if not _META.fullmatch(str(key)):
            raise refuse(where, key, f"{str(key)[:80]!r} does not match '^[a-zA-Z0-9-_:. ]{{1,255}}$'.")
        if not isinstance(value, str) or len(value) > 255:
            raise refuse(f"{where}.{key}", value, "It must be a string of at most 255 characters.")
    return dict(raw)
