"""Webhooks: a change of the log in, a signed POST to whoever wants to know of it out."""
