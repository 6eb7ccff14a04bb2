"""Tools for agents: what apps register in, what the MCP server lists and runs out. It knows nothing of the protocol."""
