"""Conditions of policy statements.

Source: "IAM JSON policy elements: Condition operators" (IAM User Guide). A statement applies when all its
operators hold; an operator holds when all its keys do; a key holds when one of its values does (for the
negated operators: when none does).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from andromede.objects.access.patterns import ONE, STAR, Lookup, Missing, matches, tokens

Test = Callable[[str, str, "Lookup | None"], bool]


def instant(text: str) -> dt.datetime | None:
    """ISO 8601 or epoch seconds as an aware UTC time; None when it is neither."""
    try:
        if text.strip().replace(".", "", 1).isdigit():
            return dt.datetime.fromtimestamp(float(text), dt.UTC)
        parsed = dt.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _literal(want: str, lookup: Lookup | None) -> str | None:
    if lookup is None or "${" not in want:
        return want
    try:
        return "".join(part[1:] if part in (STAR, ONE) else part for part in tokens(want, lookup))
    except Missing:
        return None


def _equals(have: str, want: str, lookup: Lookup | None) -> bool:
    return have == _literal(want, lookup)


def _equals_folded(have: str, want: str, lookup: Lookup | None) -> bool:
    value = _literal(want, lookup)
    return value is not None and have.casefold() == value.casefold()


def _like(have: str, want: str, lookup: Lookup | None) -> bool:
    return matches(want, have, lookup)


def _arn(have: str, want: str, lookup: Lookup | None) -> bool:
    # the six parts of an ARN are matched one by one: `*` does not reach across a colon of the first five
    parts, wants = have.split(":", 5), want.split(":", 5)
    if len(parts) != 6 or len(wants) != 6:
        return want == "*" and len(parts) == 6
    return all(matches(w, p, lookup) for p, w in zip(parts, wants, strict=True))


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _numeric(compare: Callable[[Decimal, Decimal], bool]) -> Test:
    def test(have: str, want: str, _: Lookup | None) -> bool:
        a, b = _number(have), _number(want)
        return a is not None and b is not None and compare(a, b)

    return test


def _dates(compare: Callable[[dt.datetime, dt.datetime], bool]) -> Test:
    def test(have: str, want: str, _: Lookup | None) -> bool:
        a, b = instant(have), instant(want)
        return a is not None and b is not None and compare(a, b)

    return test


def _boolean(have: str, want: str, _: Lookup | None) -> bool:
    return have.strip().lower() == want.strip().lower()


def _binary(have: str, want: str, _: Lookup | None) -> bool:
    try:
        return base64.b64decode(want, validate=True) == base64.b64decode(have, validate=True)
    except (binascii.Error, ValueError):
        return False


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> Network | None:
    """An address or CIDR range, None when it is neither."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _address(have: str, want: str, _: Lookup | None) -> bool:
    net = network(want)
    try:
        address = ipaddress.ip_address(have.strip())
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return net is not None and (mapped or address) in net


_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,  # type: ignore[operator]
    "LessThanEquals": lambda a, b: a <= b,  # type: ignore[operator]
    "GreaterThan": lambda a, b: a > b,  # type: ignore[operator]
    "GreaterThanEquals": lambda a, b: a >= b,  # type: ignore[operator]
}
TESTS: dict[str, tuple[Test, bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_folded, False),
    "StringNotEqualsIgnoreCase": (_equals_folded, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "Bool": (_boolean, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
    "NumericNotEquals": (_numeric(_COMPARISONS["Equals"]), True),
    "DateNotEquals": (_dates(_COMPARISONS["Equals"]), True),
    **{f"Numeric{name}": (_numeric(compare), False) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": (_dates(compare), False) for name, compare in _COMPARISONS.items()},
}
"""Operator -> (test of one value, negated)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator. `quantifier`: "", `ForAnyValue` or `ForAllValues`."""

    operator: str
    quantifier: str
    if_exists: bool
    key: str
    values: tuple[str, ...]

    def holds(self, have: str | tuple[str, ...] | None, lookup: Lookup | None) -> bool:
        """Does the condition hold for the request's value of the key (None: the key is absent)?"""
        present = have is not None and have != ()
        if self.operator == "Null":
            return any(_boolean("false" if present else "true", want, None) for want in self.values)
        test, negated = TESTS[self.operator]
        if not present:
            return self.if_exists or self.quantifier == "ForAllValues" or (negated and self.quantifier == "")
        found = have if isinstance(have, tuple) else (str(have),)

        def one(value: str) -> bool:
            return any(test(value, want, lookup) for want in self.values) != negated

        if self.quantifier == "ForAllValues":
            return all(one(value) for value in found)
        if self.quantifier == "ForAnyValue" or not negated:
            return any(one(value) for value in found)
        return all(one(value) for value in found)


def split_operator(name: str) -> tuple[str, str, bool] | None:
    """`ForAnyValue:StringLikeIfExists` -> (operator, quantifier, if_exists); None when unknown."""
    quantifier, colon, operator = name.rpartition(":")
    if colon and quantifier not in ("ForAnyValue", "ForAllValues"):
        return None
    if operator == "Null":
        return None if quantifier else ("Null", "", False)
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    return (operator, quantifier, if_exists) if operator in TESTS else None


def value_problem(operator: str, value: str) -> str | None:
    """Why `value` cannot stand under `operator`, None when it can."""
    if operator.startswith("Numeric") and _number(value) is None:
        return "a number is needed"
    if operator.startswith("Date") and instant(value) is None:
        return "an ISO 8601 date or epoch seconds are needed"
    if operator in ("Bool", "Null") and value.lower() not in ("true", "false"):
        return "true or false is needed"
    if operator in ("IpAddress", "NotIpAddress") and network(value) is None:
        return "an IP address or CIDR range is needed"
    return None
