"""gRPC over HTTP/2: OTLP metrics on a port of its own."""
