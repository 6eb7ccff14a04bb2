"""A request for an export in, a published file with its manifest out."""
