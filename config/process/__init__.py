"""What one process has: processor time, work at hand, limits, and whether it is stopping."""
