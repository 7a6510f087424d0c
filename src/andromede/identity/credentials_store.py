"""Application credentials, access rules, EC2 and TOTP secrets, trusts and revocations in the database."""

from __future__ import annotations

from andromede.db import Tx
from andromede.db.table import Reader, Table
from andromede.identity.model import (
    AccessRule,
    ApplicationCredential,
    Credential,
    Revocation,
    Trust,
)

APP_CREDENTIALS = Table("identity_app_credential", ApplicationCredential, order="name, id")
ACCESS_RULES = Table("identity_access_rule", AccessRule)
CREDENTIALS = Table("identity_credential", Credential)
TRUSTS = Table("identity_trust", Trust)
REVOCATIONS = Table("identity_revocation", Revocation)


def revoke(tx: Tx, revocation: Revocation, now_us: int) -> None:
    """Add a revocation and forget those whose tokens have all expired."""
    tx.run("DELETE FROM identity_revocation WHERE expires_us < ?", (now_us,))
    REVOCATIONS.insert(tx, revocation)


def is_revoked(tx: Reader, audit_ids: tuple[str, ...], user_id: str, issued_us: int) -> bool:
    """Whether a token is revoked by itself, with its chain, or with all its user had at some instant."""
    row = tx.one(
        "SELECT 1 FROM identity_revocation WHERE audit_id = ? OR (chain_id = ? AND issued_us >= ?) "
        "OR (user_id = ? AND issued_us >= ?) LIMIT 1",
        (audit_ids[0], audit_ids[-1], issued_us, user_id, issued_us),
    )
    return row is not None


def use_trust(tx: Tx, trust_id: str) -> int:
    """Spend one of a trust's limited uses; 0 when none is left."""
    return tx.run(
        "UPDATE identity_trust SET remaining_uses = remaining_uses - 1 WHERE id = ? AND remaining_uses > 0",
        (trust_id,),
    )


def use_code(tx: Tx, credential_id: str, counter: int) -> bool:
    """Spend a one-time code; False when it was spent before. Codes too old to count are forgotten."""
    tx.run("DELETE FROM identity_used_code WHERE counter < ?", (counter - 10,))
    sql = "INSERT INTO identity_used_code (credential_id, counter) VALUES (?, ?) ON CONFLICT DO NOTHING"
    return tx.run(sql, (credential_id, counter)) == 1


def forget_project(tx: Tx, project_id: str) -> None:
    """Remove the credentials that a deleted project leaves behind."""
    APP_CREDENTIALS.remove(tx, project_id=project_id)
    CREDENTIALS.remove(tx, project_id=project_id)
    TRUSTS.remove(tx, project_id=project_id)


def forget_user(tx: Tx, user_id: str) -> None:
    """Remove the credentials of a deleted user."""
    APP_CREDENTIALS.remove(tx, user_id=user_id)
    ACCESS_RULES.remove(tx, user_id=user_id)
    CREDENTIALS.remove(tx, user_id=user_id)
    TRUSTS.remove(tx, trustor_user_id=user_id)
    TRUSTS.remove(tx, trustee_user_id=user_id)
