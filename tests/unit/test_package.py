"""The package says which version it is."""

import re

import andromede


def test_version_is_a_release_number() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", andromede.__version__)
