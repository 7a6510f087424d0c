"""Who may do what with images: Glance's default policies. Whether an image is visible at all is decided with its row;
a stranger's is 404."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

READER = Grant("project", "reader")
MEMBER = Grant("project", "member")
OWNER = Grant("project", "member", "owner of the image")
SEES = Grant("project", "reader", "images that the project sees")
USES = Grant("project", "member", "images that the project sees")
ADMIN = Grant("cloud", "admin")

TABLE = AccessTable(
    {
        "image:discover": (Grant("public"),),
        "image:list_images": (READER, ADMIN),
        "image:show_schemas": (READER, ADMIN),
        "image:info": (READER, ADMIN),
        "image:get_image": (SEES, ADMIN),
        "image:get_members": (SEES, ADMIN),
        "image:get_member": (SEES, ADMIN),
        "image:get_tasks": (SEES, ADMIN),
        "image:download_image": (USES, ADMIN),
        "image:add_image": (MEMBER, ADMIN),
        "image:modify_image": (OWNER, ADMIN),
        "image:delete_image": (OWNER, ADMIN),
        "image:upload_image": (OWNER, ADMIN),
        "image:stage_image": (OWNER, ADMIN),
        "image:import_image": (OWNER, ADMIN),
        "image:deactivate": (OWNER, ADMIN),
        "image:reactivate": (OWNER, ADMIN),
        "image:add_tag": (OWNER, ADMIN),
        "image:delete_tag": (OWNER, ADMIN),
        "image:add_member": (OWNER, ADMIN),
        "image:delete_member": (OWNER, ADMIN),
        "image:modify_member": (Grant("project", "member", "the member itself"), ADMIN),
        "image:tasks_api": (ADMIN,),
        "image:get_metadefs": (READER, ADMIN),
        "image:change_metadefs": (ADMIN,),
    }
)
