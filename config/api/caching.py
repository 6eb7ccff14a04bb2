"""Generation tokens: what was answered before a write is never answered after it."""

from __future__ import annotations
