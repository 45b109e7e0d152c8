"""Metric families as clients want them: what is asked for, and the formats they are written in.

`families` is what is written; `negotiation` reads what a client prefers; `text`, `protobuf`, `prototext` and `protojson` write.
"""
