"""A requested export in, a published file with its manifest out."""
