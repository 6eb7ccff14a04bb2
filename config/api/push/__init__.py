"""A source of numbered rows in, Server-Sent Events for many clients out."""
