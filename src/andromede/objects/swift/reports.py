"""Bodies of operations on many objects: counters, a status and the errors, as text, JSON or XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from andromede.objects.swift.listing import TYPES, chosen_format

Value = int | str


@dataclass(slots=True)
class Report:
    """`counts` in the order of the JSON form. `errors`: (name, status line). `body`: a sentence."""

    root: str
    counts: dict[str, int]
    status: str = ""
    body: str = ""
    errors: list[tuple[str, str]] = field(default_factory=list)

    def count(self, name: str) -> None:
        """One more."""
        self.counts[name] += 1


def form_of(accept: str | None, *, default: str = "plain") -> str:
    """The form that `Accept` asks for. Raises `Invalid` (406)."""
    return chosen_format({}, accept) if accept else default


def content_type(form: str) -> str:
    """The media type of a form."""
    return TYPES[form]


def render(report: Report, form: str) -> bytes:
    """The whole body."""
    values: dict[str, Value] = {"Response Status": report.status, "Response Body": report.body, **report.counts}
    if form == "json":
        return json.dumps({**values, "Errors": [list(error) for error in report.errors]}).encode()
    if form.endswith("xml"):
        return _xml(report, values)
    lines = [f"{name}: {values[name]}" for name in sorted(values)]
    return "\n".join([*lines, "Errors:", *(", ".join(error) for error in report.errors), ""]).encode()


def _xml(report: Report, values: Mapping[str, Value]) -> bytes:
    out = [f"<{report.root}>"]
    for name in sorted(values):
        tag = name.lower().replace(" ", "_")
        out.append(f"<{tag}>{escape(str(values[name]))}</{tag}>")
    out.append("<errors>")
    out += [
        f"<object><name>{escape(name)}</name><status>{escape(status)}</status></object>"
        for name, status in report.errors
    ]
    return ("\n".join([*out, "</errors>", f"</{report.root}>"]) + "\n").encode()


def render_errors(errors: list[tuple[str, str]], form: str) -> bytes:
    """The body of a refusal that lists what is wrong."""
    if form == "json":
        return json.dumps({"Errors": [list(error) for error in errors]}).encode()
    if form.endswith("xml"):
        inner = "".join(
            f"<object><name>{escape(name)}</name><status>{escape(status)}</status></object>\n"
            for name, status in errors
        )
        return f"<errors>\n{inner}</errors>\n".encode()
    return ("Errors:\n" + "".join(f"{name}, {status}\n" for name, status in errors)).encode()
