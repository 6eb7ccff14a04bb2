"""The change log's position in, a lease out: it decides whether a cached answer is current."""
