"""Bearer tokens that a cloud gives for its own service of metrics."""
