"""The Swift dialect of the object port: Object Storage API v1 over the one object model."""
