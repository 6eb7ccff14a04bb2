"""The change log's position in, a lease out: what tells a kept answer from an old one."""
