"""Queries over images that are more than one table's equality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from andromede.db import Tx
from andromede.db.table import Reader
from andromede.images.model import IMAGES, Image, Member

SORT_KEYS: Mapping[str, str] = {
    "name": "coalesce(t.name, '')", "status": "t.state", "container_format": "coalesce(t.container_format, '')",
    "disk_format": "coalesce(t.disk_format, '')", "size": "coalesce(t.size, -1)", "id": "t.id",
    "created_at": "t.created_us", "updated_at": "t.updated_us", "min_disk": "t.min_disk", "min_ram": "t.min_ram",
    "visibility": "t.visibility", "protected": "t.protected", "os_hidden": "t.os_hidden", "owner": "t.project_id",
    "checksum": "coalesce(t.checksum, '')", "virtual_size": "coalesce(t.virtual_size, -1)",
    "os_hash_algo": "coalesce(t.os_hash_algo, '')", "os_hash_value": "coalesce(t.os_hash_value, '')",
}  # fmt: skip
OPERATORS: Mapping[str, str] = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
Condition = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list that was asked for. `project_id`: whose eyes see it; `everything`: an administrator's; `member_status`:
    of images shared with the project, `all` for any; `where`: conditions on the table `t`; `sort`: (key, descending).
    """

    project_id: str
    everything: bool = False
    visibility: str | None = None
    member_status: str = "accepted"
    where: Sequence[Condition] = field(default_factory=tuple)
    sort: Sequence[tuple[str, bool]] = (("created_at", True), ("id", True))


def _seen(wanted: Wanted) -> list[Condition]:
    """Which images the caller's list holds (Image API v2, "List images")."""
    me, visibility = wanted.project_id, wanted.visibility
    status = "" if wanted.member_status == "all" else " AND m.status = ?"
    shared = (
        f"(t.visibility = 'shared' AND t.id IN (SELECT m.image_id FROM image_member m WHERE m.member_id = ?{status}))"
    )
    shared_with: tuple[object, ...] = (me, *((wanted.member_status,) if status else ()))
    found: list[Condition] = [("t.gone = 0", ())]
    if visibility not in (None, "all"):
        found.append(("t.visibility = ?", (visibility,)))
    if wanted.everything:
        if visibility is None:
            found.append(("(t.visibility <> 'community' OR t.project_id = ?)", (me,)))
        return found
    open_too = " OR t.visibility = 'community'" if visibility in ("community", "all") else ""
    found.append((f"(t.project_id = ? OR t.visibility = 'public'{open_too} OR {shared})", (me, *shared_with)))
    return found


def ids(reader: Reader, wanted: Wanted) -> list[str]:
    """Every image of the list, in its order."""
    parts = [*_seen(wanted), *wanted.where]
    text = " AND ".join(part[0] for part in parts)
    params = [value for part in parts for value in part[1]]
    order = ", ".join(f"{SORT_KEYS[key]} {'DESC' if down else 'ASC'}" for key, down in wanted.sort)
    return [str(row[0]) for row in reader.all(f"SELECT t.id FROM image t WHERE {text} ORDER BY {order}", params)]


def load(reader: Reader, found: Sequence[str]) -> list[Image]:
    """These images, in this order."""
    rows = {image.id: image for image in IMAGES.select(reader, {"id": list(found)})}
    return [rows[image_id] for image_id in found if image_id in rows]


def tagged(tag: str) -> Condition:
    """Images with a tag."""
    return "t.id IN (SELECT w.image_id FROM image_word w WHERE w.kind = 'tag' AND w.name = ?)", (tag,)


def with_property(name: str, value: str) -> Condition:
    """Images with a property of this value."""
    words = "SELECT w.image_id FROM image_word w WHERE w.kind = 'property' AND w.name = ? AND w.value = ?"
    return f"t.id IN ({words})", (name, value)


def put_words(tx: Tx, image_id: str, tags: Sequence[str], properties: Mapping[str, str]) -> None:
    """Repeat tags and properties for filters."""
    tx.run("DELETE FROM image_word WHERE image_id = ?", (image_id,))
    rows = [(image_id, "tag", tag, "") for tag in tags]
    rows += [(image_id, "property", name, value) for name, value in properties.items()]
    tx.many("INSERT INTO image_word (image_id, kind, name, value) VALUES (?, ?, ?, ?)", rows)


def mark(tx: Tx, image_id: str, marks: Mapping[str, str], gone: Sequence[str] = ()) -> None:
    """Say something of an image in its properties, or say it no longer; those of clients stay as they are by now."""
    now = IMAGES.find(tx, id=image_id)
    if now is not None:
        left = {name: value for name, value in now.properties.items() if name not in gone}
        IMAGES.update(tx, {"id": image_id}, properties={**left, **marks})


def forget(tx: Tx, image_id: str) -> None:
    """Everything that hangs on an image whose row goes."""
    for table in ("image_word", "image_member", "image_task"):
        tx.run(f"DELETE FROM {table} WHERE image_id = ?", (image_id,))


def used(reader: Reader, project_id: str) -> int:
    """Bytes that a project's images hold or were promised."""
    row = reader.one("SELECT coalesce(sum(size), 0) FROM image WHERE project_id = ? AND gone = 0", (project_id,))
    return int(row[0]) if row else 0


def is_member(reader: Reader, image_id: str, project_id: str) -> bool:
    """Whether an image is shared with a project."""
    sql = "SELECT 1 FROM image_member WHERE image_id = ? AND member_id = ?"
    return reader.one(sql, (image_id, project_id)) is not None


def set_member(tx: Tx, member: Member) -> None:
    """Change a member's status."""
    sql = "UPDATE image_member SET status = ?, updated_us = ? WHERE image_id = ? AND member_id = ?"
    tx.run(sql, (member.status, member.updated_us, member.image_id, member.member_id))


def counts(reader: Reader) -> list[tuple[str, int]]:
    """(state, how many) of all images."""
    rows = reader.all("SELECT state, count(*) FROM image GROUP BY state ORDER BY state")
    return [(str(row[0]), int(row[1])) for row in rows]
