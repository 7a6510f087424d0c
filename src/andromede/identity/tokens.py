"""Tokens and receipts: what the encrypted text holds."""

from __future__ import annotations

from typing import Literal

import msgspec
from cryptography.fernet import InvalidToken

from andromede.errors import NotFound
from andromede.identity.keyring import KeyRing

ScopeKind = Literal["", "project", "domain", "system"]


class Claims(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The content of a token. `audit_ids`: its own, then the first of its chain of exchanged tokens."""

    form: Literal["token", "receipt"] = "token"
    user_id: str
    methods: tuple[str, ...]
    issued_us: int
    expires_us: int
    audit_ids: tuple[str, ...]
    scope: ScopeKind = ""
    scope_id: str = ""
    trust_id: str = ""
    app_credential_id: str = ""

    @property
    def chain_id(self) -> str:
        """The audit id that all tokens exchanged for one another share."""
        return self.audit_ids[-1]


_decoder = msgspec.msgpack.Decoder(Claims)


def seal(ring: KeyRing, claims: Claims) -> str:
    """The token's text, without base64 padding."""
    return ring.encrypt(msgspec.msgpack.encode(claims), claims.issued_us).decode().rstrip("=")


def unseal(ring: KeyRing, text: str, form: str = "token") -> Claims:
    """The claims of a token made here, expired or not. Raises `NotFound` (reason `token`)."""
    try:
        raw = text.encode("ascii")
        claims = _decoder.decode(ring.decrypt(raw + b"=" * (-len(raw) % 4)))
    except (InvalidToken, UnicodeError, ValueError, msgspec.DecodeError) as error:
        raise NotFound("This is not a recognized Fernet token.", "token") from error
    if claims.form != form:
        raise NotFound("This is not a recognized Fernet token.", "token")
    return claims
