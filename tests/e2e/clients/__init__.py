"""Round trips with real clients."""
