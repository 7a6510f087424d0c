"""Browser uploads: `POST` of a signed HTML form to a container or a prefix in it.

Object Storage API, "Form POST middleware". The signature covers path, redirect, limits and expiry.
"""

from __future__ import annotations

import dataclasses
from urllib.parse import quote

from andromede.errors import Error, Invalid, TooLarge, Unauthenticated
from andromede.objects.model import NO_CONDITIONS, Container, Receive
from andromede.objects.swift import attributes, errors, info, writing
from andromede.objects.swift.access import as_signer, matches, signing_keys
from andromede.objects.swift.answers import worded
from andromede.objects.swift.call import Call
from andromede.objects.swift.errors import message_of, status_of
from andromede.objects.swift.multiform import Field, FormReader, boundary_of
from andromede.objects.swift.place import Place, storable
from andromede.objects.swift.tempurl import parse_expires, parse_signature
from andromede.web.stream.message import Response

_ACTIONS = frozenset({"s3:PutObject"})
_FIELD_LIMIT = 8192
_FIELDS_LIMIT = 64


def present(call: Call) -> bool:
    """Whether this is a form sent to a container."""
    kind = call.headers.get("content-type", "").lower()
    return call.method == "POST" and call.place.container is not None and kind.startswith("multipart/form-data")


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"FormPost: {why}", "formpost")


@dataclasses.dataclass(slots=True)
class _Limits:
    size: int
    count: int


class _Limited:
    """Bytes of one file, at most so many."""

    def __init__(self, form: FormReader, limit: int) -> None:
        self._form = form
        self._left = limit

    def readinto(self, view: memoryview) -> int:
        """Raises `TooLarge` when the file goes on beyond the limit."""
        count = self._form.readinto(view)
        self._left -= count
        if self._left < 0:
            raise TooLarge("max_file_size exceeded", "body")
        return count


def handle(call: Call) -> Response:
    """Store each file of the form as `<prefix><file name>`; 201, or 303 to the redirect."""
    form = FormReader(call.request.body, boundary_of(call.headers["content-type"]))
    values: dict[str, str] = {}
    limits: _Limits | None = None
    done = 0
    outcome: tuple[int, str] = (400, "no files to process")
    try:
        for number, field in enumerate(form.fields()):
            if field.filename is None:
                if number > _FIELDS_LIMIT:
                    raise Invalid("the form has too many fields", "form")
                values[field.name.lower()] = form.value(_FIELD_LIMIT)
                continue
            if not field.filename:
                continue
            if limits is None:
                limits = _admitted(call, values)
            if done >= limits.count:
                outcome = 400, "max_file_count exceeded"
                break
            _store(call, form, field, values, limits)
            done += 1
            outcome = 201, ""
        if limits is None:
            _admitted(call, values)
    except Error as error:
        if status_of(error) == 401:
            raise
        outcome = status_of(error), message_of(error)
    return _answer(values.get("redirect", ""), *outcome)


def _admitted(call: Call, values: dict[str, str]) -> _Limits:
    """Check the signature of the fields before the first file."""
    path = call.place.path
    if call.place.key is None and call.request.path.endswith(b"/"):
        path += "/"
    expires = parse_expires(values.get("expires", "")) if values.get("expires", "").isdigit() else None
    if expires is None:
        raise Invalid("FormPost: expired not an integer", "form")
    if expires * 1_000_000 <= call.now_us:
        raise _refused("Form Expired")
    digest, signature = parse_signature(values.get("signature", ""))
    if digest not in info.digests(call.context.config):
        raise _refused("Invalid Signature")
    signed = [values.get(name, "") for name in ("redirect", "max_file_size", "max_file_count", "expires")]
    text = "\n".join([path, *signed]).encode("utf-8", "surrogateescape")
    scopes = [scope for secret, scope in signing_keys(call) if matches(secret, text, digest, signature)]
    if not scopes:
        raise _refused("Invalid Signature")
    as_signer(call, "formpost", None if None in scopes else scopes[0], _ACTIONS)
    return _Limits(_number(values, "max_file_size"), _number(values, "max_file_count"))


def _number(values: dict[str, str], name: str) -> int:
    text = values.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Invalid(f"FormPost: {name} not an integer", "form")
    return int(text)


def _store(call: Call, form: FormReader, field: Field, values: dict[str, str], limits: _Limits) -> None:
    base = call.place
    container = _container(call)
    prefix = base.key or ""
    key = prefix + (field.filename or "").replace("\\", "/").rpartition("/")[2]
    if not storable(key):
        raise Invalid("the file's name is not valid UTF-8 or contains NUL", "utf8")
    writing.check_key(key)
    call.require("s3:PutObject", container, key)
    headers = {"content-type": field.headers.get("content-type", "")}
    headers |= {name: values[alias] for alias, name in _EXPIRY if values.get(alias)}
    if encoding := values.get("content-encoding"):
        headers["content-encoding"] = encoding
    # fields are text, headers are Latin-1 text of its bytes
    call.form_headers({name: _as_header(value) for name, value in headers.items() if value})
    wish = attributes.wanted(call, key)
    limit = min(limits.size, info.MAX_FILE)
    call.objects.precheck(container, key, NO_CONDITIONS, None)
    stored = call.objects.receive(container, _Limited(form, limit), Receive(length=None, max_length=info.MAX_FILE))
    call.run(call.objects.put(container, key, stored, wish, NO_CONDITIONS, call.trace("swift:FormPost")))


def _as_header(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


_EXPIRY = (("x_delete_at", "x-delete-at"), ("x_delete_after", "x-delete-after"))


def _container(call: Call) -> Container:
    if call.container is None:
        place: Place = call.place
        call.container = call.objects.container(place.project_id, place.container or "")
    return call.container


def _answer(redirect: str, status: int, message: str) -> Response:
    if not redirect:
        return worded(status, message or "the form's files have been stored")
    joint = "&" if "?" in redirect else "?"
    safe = "".join(char for char in redirect if char.isprintable())
    location = f"{safe}{joint}status={status}&message={quote(message, errors='replace')}"
    body = f'<html><body><p><a href="{quote(location, safe=":/?#[]@!$&()*+,;=%")}">Click to continue...</a></p>'
    return Response(
        303,
        [("Location", location.encode("utf-8", "replace")), ("Content-Type", errors.PAGE)],
        (body + "</body></html>").encode("utf-8", "replace"),
    )
