"""Writes of prices in, the prices of before out: a history by triggers, and the lowest price of 30 days."""
