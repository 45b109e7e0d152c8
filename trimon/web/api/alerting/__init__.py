"""Rules, alerts, and their history."""
