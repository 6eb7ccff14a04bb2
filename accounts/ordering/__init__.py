"""Requests about orders in, changed orders out: addresses and notes, shipments and returns."""
