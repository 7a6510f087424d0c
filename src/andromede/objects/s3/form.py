"""The multipart form of a POST upload, read in one pass: fields in memory, the file as a stream (RFC 7578)."""

from __future__ import annotations

from andromede.errors import Invalid
from andromede.web.stream.message import Request

FIELDS_MAX = 100
FIELD_BYTES = 64 * 1024
PART_HEAD_BYTES = 4096
BUFFER = 256 * 1024


class Form:
    """`fields`: values by lower-case name, the first of each. `filename`: as the file part names itself.

    The file is the part called `file`, whatever the others look like; what follows it is ignored."""

    def __init__(self, request: Request) -> None:
        self._body = request.body
        self._delimiter = b"\r\n--" + boundary_of(request.headers.get("content-type") or "")
        self._held = bytearray(b"\r\n")
        self._ended = False
        self._file_ended = False
        self._total = 0
        self._piece = memoryview(bytearray(min(BUFFER, (request.body.length or BUFFER) + 1)))
        self.trailers: dict[str, str] = {}
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.content_type: str | None = None
        self._read_fields()

    def _more(self) -> bool:
        """Read once more into the buffer; False at the end of the body."""
        got = 0 if self._ended else self._body.readinto(self._piece)
        self._held += self._piece[:got]
        self._ended = not got
        return bool(got)

    def _until(self, mark: bytes, limit: int, what: str) -> bytes:
        """Everything up to `mark`, which is dropped. Raises `Invalid` beyond the limit or at the end."""
        while True:
            at = self._held.find(mark)
            if 0 <= at <= limit:
                found = bytes(self._held[:at])
                del self._held[: at + len(mark)]
                return found
            if at > limit or len(self._held) > limit + len(mark) or not self._more():
                raise Invalid(f"the form's {what} is too long or not ended", "malformed_post")

    def _read_fields(self) -> None:
        self._until(self._delimiter, PART_HEAD_BYTES, "preamble")
        for _ in range(FIELDS_MAX):
            tail = self._until(b"\r\n", 256, "boundary line")
            if tail.strip():
                raise Invalid("the form has no part called 'file'", "malformed_post")
            name, filename, kind = part_head(self._until(b"\r\n\r\n", PART_HEAD_BYTES, "part head"))
            if name == "file":
                self.filename, self.content_type = filename, kind
                return
            value = self._until(self._delimiter, FIELD_BYTES, f"field {name[:64]!r}")
            self._total += len(value)
            if self._total > FIELD_BYTES:
                raise Invalid("the form's fields are longer than 64 KiB together", "malformed_post")
            try:
                self.fields.setdefault(name, value.decode())
            except UnicodeDecodeError as error:
                raise Invalid(f"the field {name[:64]!r} is not UTF-8", "malformed_post") from error
        raise Invalid(f"the form has more than {FIELDS_MAX} fields", "malformed_post")

    def readinto(self, view: memoryview) -> int:
        """Bytes of the file."""
        while not self._file_ended:
            at = self._held.find(self._delimiter)
            ready = at if at >= 0 else len(self._held) - len(self._delimiter) + 1
            if ready > 0:
                count = min(ready, len(view))
                view[:count] = self._held[:count]
                del self._held[:count]
                return count
            if at == 0:
                self._file_ended = True
            elif not self._more():
                raise Invalid("the form ends before its file does", "incomplete_body")
        return 0

    def finish(self) -> None:
        """The file must have ended; what follows it does not count."""
        if self.readinto(memoryview(bytearray(1))):
            raise Invalid("the file is longer than was read", "incomplete_body")
        while not self._ended:
            self._held.clear()
            self._more()


def boundary_of(content_type: str) -> bytes:
    """The boundary of `multipart/form-data`. Raises `Invalid`."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() == "multipart/form-data":
        for part in rest.split(";"):
            name, _, value = part.strip().partition("=")
            if name.lower() == "boundary":
                found = value.strip('"').encode("latin-1")
                if 0 < len(found) <= 200:
                    return found
    raise Invalid("the body of a POST upload must be multipart/form-data with a boundary", "malformed_post")


def part_head(head: bytes) -> tuple[str, str, str | None]:
    """(name in lower case, filename, content type) of a part. Raises `Invalid`."""
    name, filename, kind = "", "", None
    for line in head.split(b"\r\n"):
        title, _, value = line.decode("utf-8", "replace").partition(":")
        if title.strip().lower() == "content-disposition":
            parameters = _parameters(value)
            name = parameters.get("name", "").lower()
            filename = parameters.get("filename", "")
        elif title.strip().lower() == "content-type":
            kind = value.strip()
    if not name:
        raise Invalid("a part of the form has no name", "malformed_post")
    return name, filename.replace("\\", "/").rpartition("/")[2], kind


def _parameters(text: str) -> dict[str, str]:
    """Parameters of a Content-Disposition, quoted or not."""
    found: dict[str, str] = {}
    rest = text.partition(";")[2]
    while rest:
        name, _, rest = rest.partition("=")
        rest = rest.lstrip()
        if rest.startswith('"'):
            end = rest.find('"', 1)
            while end > 0 and rest[end - 1] == "\\":
                end = rest.find('"', end + 1)
            value, rest = (rest[1:end], rest[end + 1 :]) if end > 0 else (rest[1:], "")
            rest = rest.partition(";")[2]
        else:
            value, _, rest = rest.partition(";")
        found[name.strip().lower()] = value.replace('\\"', '"').replace("%22", '"').strip()
    return found
