"""OTLP metrics: from an ExportMetricsServiceRequest, in protobuf or JSON, to a batch of samples."""
