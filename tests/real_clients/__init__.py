"""Clients that others wrote, or that generators make of the document, against a live server: `make test-clients`."""
