"""Rules of stored secrets: EC2 key pairs, TOTP seeds and others (Identity API v3, "Credentials"; OS-EC2)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.fernet import InvalidToken

from andromede.audit import Draft
from andromede.errors import Conflict, Denied, Fatal, Invalid
from andromede.identity import credentials_store, principals_store
from andromede.identity.bodies import CredentialFields
from andromede.identity.bootstrap import new_pair
from andromede.identity.common import found, given, required
from andromede.identity.core import Core
from andromede.identity.delegations import unrestricted
from andromede.identity.model import Credential
from andromede.web.call import Call

CREDENTIALS = credentials_store.CREDENTIALS


def within(call: Call[Any], credential: Credential) -> bool:
    """Whether a delegated caller may know of a stored secret: a trust reaches those alone that were made under
    it, else the trustee would get all that the trustor has on every project."""
    return call.who.via != "trust" or credential.trust_id == call.who.credential_id


class Credentials:
    """Secrets encrypted at rest."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, credential_id: str) -> Credential:
        """A credential, its blob still encrypted."""
        return found(CREDENTIALS.find(self._core.db, id=credential_id), "credential", credential_id)

    def blob(self, credential: Credential) -> str:
        """The secret. Raises `Fatal` when no key opens it."""
        try:
            return self._core.vault.decrypt(credential.blob).decode()
        except InvalidToken as error:
            raise Fatal(f"Credential {credential.id} cannot be decrypted.", "credential") from error

    def pair(self, credential: Credential) -> tuple[str, str]:
        """(access key, secret key) of an EC2 credential."""
        document = json.loads(self.blob(credential))
        return str(document.get("access", "")), str(document.get("secret", ""))

    def ec2(self, call: Call[Any]) -> Credential:
        """The EC2 credential of the path, by user and access key."""
        user_id, access = call.params["user_id"], call.params["access"]
        one = CREDENTIALS.find(self._core.db, access=access, user_id=user_id, type="ec2")
        return found(one if one is not None and within(call, one) else None, "credential", access)

    def create(self, call: Call[Any], fields: CredentialFields) -> Credential:
        """Store a secret for a user."""
        values = given(fields)
        required(values, "type", "blob")
        values["user_id"] = values.get("user_id") or call.who.user_id
        return self._insert(call, values)

    def create_ec2(self, call: Call[Any], user_id: str, project_id: str) -> Credential:
        """A new key pair of a user on a project."""
        access, secret = new_pair(self._core)
        blob = {"access": access, "secret": secret}
        return self._insert(call, {"type": "ec2", "blob": blob, "user_id": user_id, "project_id": project_id})

    def _insert(self, call: Call[Any], values: dict[str, Any]) -> Credential:
        core, who = self._core, call.who
        unrestricted(core, call)
        if who.access_rules is not None:
            raise Denied("A credential with access rules may not make one without.", "access_rules")
        text, access = check_blob(values["type"], values["blob"], values.get("project_id"))
        delegated = who.user_id == values["user_id"]
        credential = Credential(
            id=core.ids.hex(),
            user_id=values["user_id"],
            type=values["type"],
            blob=core.vault.encrypt(text.encode(), core.clock.now_us()),
            project_id=values.get("project_id"),
            access=access,
            trust_id=who.credential_id if delegated and who.via == "trust" else None,
            app_credential_id=who.credential_id if delegated and who.via == "application_credential" else None,
        )
        with core.change(call, f"credential:{credential.id}", credential.project_id or "") as change:
            found(principals_store.USERS.find(change.tx, id=credential.user_id), "user", credential.user_id)
            self._check_project(change.tx, credential)
            if access is not None and CREDENTIALS.find(change.tx, access=access):
                raise Conflict("There is a credential with this access key already.", "access")
            CREDENTIALS.insert(change.tx, credential)
        return credential

    @staticmethod
    def _check_project(tx: Any, credential: Credential) -> None:
        if credential.project_id is not None and credential.type == "ec2":
            project = principals_store.PROJECTS.find(tx, id=credential.project_id)
            found(project, "project", credential.project_id)

    def update(self, call: Call[Any], credential_id: str, fields: CredentialFields) -> Credential:
        """Change type, blob, project or owner."""
        values, core = given(fields), self._core
        unrestricted(core, call)
        with core.change(call, f"credential:{credential_id}") as change:
            old = found(CREDENTIALS.find(change.tx, id=credential_id), "credential", credential_id)
            new = {name: values[name] for name in ("type", "project_id", "user_id") if name in values}
            kind, project_id = new.get("type", old.type), new.get("project_id", old.project_id)
            text, access = check_blob(kind, values.get("blob", self.blob(old)), project_id)
            same = CREDENTIALS.find(change.tx, access=access) if access else None
            if same is not None and same.id != credential_id:
                raise Conflict("There is a credential with this access key already.", "access")
            blob = core.vault.encrypt(text.encode(), core.clock.now_us())
            CREDENTIALS.update(change.tx, {"id": credential_id}, **new, blob=blob, access=access)
            credential = found(CREDENTIALS.find(change.tx, id=credential_id), "credential", credential_id)
            self._check_project(change.tx, credential)
            change.tenant = credential.project_id or ""
        return credential

    def remove(self, call: Call[Any], credential: Credential) -> None:
        """Delete one; it stops working at once."""
        unrestricted(self._core, call)
        with self._core.change(call, f"credential:{credential.id}", credential.project_id or "") as change:
            if not CREDENTIALS.remove(change.tx, id=credential.id):
                found(None, "credential", credential.id)


def check_blob(kind: str, blob: Any, project_id: str | None) -> tuple[str, str | None]:
    """(text to store, EC2 access key). Raises `Invalid` for a blob that the type cannot use."""
    text = blob if isinstance(blob, str) else json.dumps(blob)
    if kind == "totp":
        try:
            base64.b32decode(text.strip().upper() + "=" * (-len(text.strip()) % 8))
        except (binascii.Error, ValueError) as error:
            raise Invalid("the blob of a TOTP credential must be a base32 secret", "blob") from error
    if kind != "ec2":
        return text, None
    if not project_id:
        raise Invalid("an EC2 credential needs project_id", "schema")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Invalid("Invalid blob in credential: an EC2 blob is JSON with access and secret", "blob") from error
    if not isinstance(document, dict) or not isinstance(document.get("access"), str):
        raise Invalid("Invalid blob in credential: an EC2 blob is JSON with access and secret", "blob")
    return text, document["access"]


def rotate_keys(core: Core, actor: str, request_id: str) -> tuple[int, int]:
    """New primary keys for tokens and credentials; (number of the token key, credentials encrypted anew).
    Tokens signed with the former keys stay valid until those are dropped, two rotations later."""
    number = core.tokens.rotate(core.ids)
    core.vault.rotate(core.ids)
    event = Draft("", actor, "identity:rotate_keys", f"fernet:{number}", request_id, purpose="OPERATOR_SYSTEM")
    return number, reencrypt(core, [event])


def reencrypt(core: Core, events: list[Draft]) -> int:
    """Encrypt every credential under the newest key, after a rotation; how many."""
    with core.db.write() as tx:
        core.recorder.record(tx, events)
        rows = CREDENTIALS.select(tx)
        for row in rows:
            blob = core.vault.encrypt(core.vault.decrypt(row.blob), core.clock.now_us())
            CREDENTIALS.update(tx, {"id": row.id}, blob=blob)
    return len(rows)
