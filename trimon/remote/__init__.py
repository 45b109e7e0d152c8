"""Remote protocols, as synchronous cores: bytes in, batches out.

`wire.py` reads protobuf's primitives, `write_request.py` decodes remote write 1.0.
"""
