"""What an operator asks: probes, metrics, findings of `doctor`, and checks at start."""
