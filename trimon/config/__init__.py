"""prometheus.yml as typed models: reading with file, line and column, showing without secrets."""

from trimon.config.configuration import Config, ConfigError, FlagDefaults, MainFile
from trimon.config.discovery import FileSdConfig, PluginOptions, PluginSdConfig, SdConfig, StaticConfig
from trimon.config.dump import effective_yaml, fingerprint
from trimon.config.filetext import read_text
from trimon.config.globals import GlobalConfig
from trimon.config.globs import expand_globs
from trimon.config.http import Authorization, BasicAuth, HttpClient, HttpHeader, TlsConfig
from trimon.config.load import load, load_text
from trimon.config.relabel import RelabelConfig
from trimon.config.scrape import ScrapeConfig
from trimon.config.secret import MASK, Secret, SecretUrl, looks_secret, masked_url
from trimon.config.storage import RetentionConfig, StorageConfig
from trimon.config.web.file import WebConfig, load_web_config

__all__ = [
    "MASK",
    "Authorization",
    "BasicAuth",
    "Config",
    "ConfigError",
    "FileSdConfig",
    "FlagDefaults",
    "GlobalConfig",
    "HttpClient",
    "HttpHeader",
    "MainFile",
    "PluginOptions",
    "PluginSdConfig",
    "RelabelConfig",
    "RetentionConfig",
    "ScrapeConfig",
    "SdConfig",
    "Secret",
    "SecretUrl",
    "StaticConfig",
    "StorageConfig",
    "TlsConfig",
    "WebConfig",
    "effective_yaml",
    "expand_globs",
    "fingerprint",
    "load",
    "load_text",
    "load_web_config",
    "looks_secret",
    "masked_url",
    "read_text",
]
