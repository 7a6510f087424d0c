"""The config drive: an ISO 9660 image with the label config-2 (Nova's user documentation, "Config drives")."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pycdlib

LABEL = "config-2"


def iso(documents: Mapping[str, bytes]) -> bytes:
    """The image with every document at its path, with Joliet and Rock Ridge names."""
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    folders: dict[str, str] = {"": ""}
    for number, (path, content) in enumerate(sorted(documents.items())):
        parent, _, name = path.rpartition("/")
        made = _folder(disc, folders, parent)
        disc.add_fp(io.BytesIO(content), len(content), f"{made}/F{number:06d}.;1", rr_name=name, joliet_path=f"/{path}")
    out = io.BytesIO()
    disc.write_fp(out)
    disc.close()
    return out.getvalue()


def _folder(disc: pycdlib.PyCdlib, folders: dict[str, str], path: str) -> str:
    """The ISO 9660 path of a folder, made if it is not there; their names are of 8 characters, the true ones beside."""
    if path not in folders:
        parent, _, name = path.rpartition("/")
        above = _folder(disc, folders, parent)
        folders[path] = f"{above}/D{len(folders):06d}"
        disc.add_directory(folders[path], rr_name=name, joliet_path=f"/{path}")
    return folders[path]
