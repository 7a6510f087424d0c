"""Images: the Image service (Glance v2) over the object store, and the guest images that this machine builds itself."""
