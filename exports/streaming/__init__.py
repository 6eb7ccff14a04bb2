"""A request in, an export out, which is sent while it is read."""
