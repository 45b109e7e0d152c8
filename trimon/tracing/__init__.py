"""Spans of what the server does: made where it is done, sent as OTLP by the tracing actor."""
