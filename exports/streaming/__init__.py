"""A request in, an export sent as it is read out."""
