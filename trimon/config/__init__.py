"""prometheus.yml as typed models: reading with file, line and column, showing without secrets."""

from trimon.config.discovery import FileSdConfig, PluginOptions, PluginSdConfig, SdConfig, StaticConfig
from trimon.config.dump import effective_yaml, fingerprint, model_yaml, to_yaml
from trimon.config.globals import GlobalConfig, StorageConfig
from trimon.config.http import Authorization, BasicAuth, HttpClient, HttpHeader, TlsConfig
from trimon.config.load import Config, MainFile, expand_globs, load, load_text, read_text
from trimon.config.references import missing_files, references
from trimon.config.relabel import RelabelConfig
from trimon.config.scrape import ScrapeConfig
from trimon.config.secret import MASK, Secret, SecretUrl, looks_secret, masked_url
from trimon.config.web import WebConfig, load_web_config

__all__ = [
    "MASK",
    "Authorization",
    "BasicAuth",
    "Config",
    "FileSdConfig",
    "GlobalConfig",
    "HttpClient",
    "HttpHeader",
    "MainFile",
    "PluginOptions",
    "PluginSdConfig",
    "RelabelConfig",
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
    "missing_files",
    "model_yaml",
    "read_text",
    "references",
    "to_yaml",
]
