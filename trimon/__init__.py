"""trimon: a monitoring server on trio, a drop-in for Prometheus."""

__version__ = "0.4.0"
# The Prometheus whose behaviour, requests and version strings clients get.
PROMETHEUS_VERSION = "3.14.0"
