"""Image service (Glance v2): images, their bytes in the object store, import and sharing."""
