"""For operators: probes, metrics, `doctor`, and system checks."""
