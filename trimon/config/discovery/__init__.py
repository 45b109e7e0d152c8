"""Discovery as configured: where targets come from; a file a mechanism, and the table of all."""

from trimon.config.discovery.file import FileSdConfig
from trimon.config.discovery.plugin import PluginOptions, PluginSdConfig, masked_fields
from trimon.config.discovery.source import SdConfig
from trimon.config.discovery.static import StaticConfig, label_name, label_value

__all__ = [
    "FileSdConfig",
    "PluginOptions",
    "PluginSdConfig",
    "SdConfig",
    "StaticConfig",
    "label_name",
    "label_value",
    "masked_fields",
]
