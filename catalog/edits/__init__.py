"""Chosen products and one change in; their rows changed out, but for those that are refused, each with a reason."""
