"""Bodies in protobuf: messages of metric families one after the other, read in columns where only numbers have changed."""
