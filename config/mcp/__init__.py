"""Messages of the Model Context Protocol in, answers of the apps' tools out. Needs the extra `mcp`."""
