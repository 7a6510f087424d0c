"""Who sent this: finds the kind of signature and hands over to its module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andromede.objects.context import Context
    from andromede.objects.s3.call import S3Call


class Authentication:
    """Checks signatures. One per process: it holds the signing keys."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def admit(self, call: S3Call) -> None:
        """Set `call.actor` and `call.proof`. Raises `Denied` or `Invalid`; no signature: anonymous."""
        raise NotImplementedError
