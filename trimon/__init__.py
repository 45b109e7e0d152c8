"""trimon: a monitoring server on trio, a drop-in for Prometheus."""

__version__ = "0.1.0"
