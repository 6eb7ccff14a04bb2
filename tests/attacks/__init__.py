"""What strangers may send to hurt a server, and what other clients feel of it meanwhile."""
