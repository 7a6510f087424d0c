"""What the object doors ask of identity beyond authentication: names of projects."""

from __future__ import annotations

from typing import Protocol


class Directory(Protocol):
    """Look-ups of projects; implemented over the identity service."""

    def project_name(self, project_id: str) -> str | None:
        """The name of a project, None when there is no such project."""
        ...

    def project_of_email(self, email: str) -> str | None:
        """The id of the default project of the only user with this e-mail address, None otherwise."""
        ...
