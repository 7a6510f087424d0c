"""Schema of images. `image.blob` and `image.staged` name objects of the owner's hidden container `images`;
`image_word` repeats tags and properties for filters."""

from __future__ import annotations

from andromede.db import Migration
from andromede.work.lifecycle import COLUMNS

MIGRATIONS = (
    Migration(
        "images",
        1,
        "images, what they are found by, members, tasks",
        f"""
CREATE TABLE image (
  id {{text}} PRIMARY KEY,
  project_id {{text}} NOT NULL,
  user_id {{text}} NOT NULL,
  name {{text}},
  visibility {{text}} NOT NULL,
  disk_format {{text}},
  container_format {{text}},
  min_disk {{int}} NOT NULL,
  min_ram {{int}} NOT NULL,
  protected {{int}} NOT NULL,
  os_hidden {{int}} NOT NULL,
  size {{int}},
  virtual_size {{int}},
  checksum {{text}},
  os_hash_algo {{text}},
  os_hash_value {{text}},
  created_us {{int}} NOT NULL,
  updated_us {{int}} NOT NULL,
  tags {{text}} NOT NULL,
  properties {{text}} NOT NULL,
  blob {{text}} NOT NULL,
  staged {{text}} NOT NULL,
  keeper {{text}} NOT NULL,
  gone {{int}} NOT NULL,
  wish {{text}} NOT NULL,
{COLUMNS}
);
CREATE INDEX image_due ON image (due_us) WHERE due_us IS NOT NULL;
CREATE INDEX image_project ON image (project_id, created_us, id);
CREATE INDEX image_visibility ON image (visibility, created_us, id);
CREATE TABLE image_word (
  image_id {{text}} NOT NULL,
  kind {{text}} NOT NULL,
  name {{text}} NOT NULL,
  value {{text}} NOT NULL,
  PRIMARY KEY (image_id, kind, name)
) {{norowid}};
CREATE INDEX image_word_name ON image_word (kind, name, image_id);
CREATE TABLE image_member (
  image_id {{text}} NOT NULL,
  member_id {{text}} NOT NULL,
  status {{text}} NOT NULL,
  created_us {{int}} NOT NULL,
  updated_us {{int}} NOT NULL,
  PRIMARY KEY (image_id, member_id)
) {{norowid}};
CREATE INDEX image_member_member ON image_member (member_id, image_id);
CREATE TABLE image_task (
  id {{text}} PRIMARY KEY,
  image_id {{text}} NOT NULL,
  project_id {{text}} NOT NULL,
  user_id {{text}} NOT NULL,
  request_id {{text}} NOT NULL,
  status {{text}} NOT NULL,
  message {{text}} NOT NULL,
  input {{text}} NOT NULL,
  created_us {{int}} NOT NULL,
  updated_us {{int}} NOT NULL
);
CREATE INDEX image_task_image ON image_task (image_id, created_us, id);
""",
    ),
    Migration(
        "images",
        2,
        "definitions of metadata",
        """
CREATE TABLE metadef_namespace (
  name {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  display_name {text} NOT NULL,
  description {text} NOT NULL,
  visibility {text} NOT NULL,
  protected {int} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
) {norowid};
CREATE TABLE metadef_item (
  namespace {text} NOT NULL,
  kind {text} NOT NULL,
  name {text} NOT NULL,
  document {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL,
  PRIMARY KEY (namespace, kind, name)
) {norowid};
""",
    ),
)
