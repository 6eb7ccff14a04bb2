"""Feeds: an export that is made again and again, at an address that stays."""
