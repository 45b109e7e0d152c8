"""From a checked expression to operators."""
