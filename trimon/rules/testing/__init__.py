"""Unit tests of rules: input series, expected alerts and samples, and what rules make of them."""
