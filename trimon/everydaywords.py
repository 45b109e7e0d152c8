"""Words of everyday messages: what the server, its peers and its configuration speak of, and passwords that everybody tries."""

from __future__ import annotations

from typing import Final

_WORDS: Final = """
000000 111111 123456 1234567 12345678 123456789 1234567890 absent accept accepted access account action active activity
address addresses administrator aggregation alerting alertmanager alerts allowed already always annotation annotations
another answer answered answers application argument attempt attribute attributes authentication authority authorization
availability backup bearer before between binary blocks boolean broker bucket buckets budget called canceled cannot
capacity certificate change changed changeit changeme changes character characters chunks classic client clients closed
cluster clusters command compare component compression compute config configuration configured connect connection
connections console consul container containers content context control convert counter counters created credential
credentials current custom database datacenter deadline default defined delayed deleted description different
digitalocean directory disabled discovery docker domain dropped duplicate duration during dynamic elastic elasticsearch
enabled encoding endpoint endpoints engine entries environment errors eureka evaluation events exceeded exemplar
expected exporter expression external failed failure failures family feature features fields filter finding firing
format function gateway global google grafana greater grouping groups handler header headers health hetzner histogram
history hostname identity ignore illegal import include influxdb instance instant integer interface internal interval
invalid jenkins kubernetes labels latest legacy length letmein linode listen loaded loading localhost location machine
manager marathon master matched matcher maximum memcached memory message messages metadata method metric metrics missing
module monitor monitoring monkey multiple namespace native negative network nothing notification number object objects
offset operator option options oracle outside parameter parameters parsing partition password passwords pattern pending
performance period plugin policy position positive postgres postgresql prefix present primary private problem process
profile project prometheus protobuf protocol provider public pushgateway quantile queries qwerty rabbit rabbitmq reader
reason received receiver record refresh refused region registry regular rejected relabel reload remote removed replace
request requests required response restart result results retention returned router runtime sample samples scaleway
schema scheme scrape scraped search second seconds secret secrets section security selector sequence series server
servers service services session setting settings should signature snapshot socket source stable stackit standard static
status storage stored stream string success suffix summary supported syntax system target targets telegraf template
tenant threshold timeout timestamp tokens traefik trimon unable unavailable unexpected unknown unsupported update
upgrade username values variable vector version waiting warning warnings welcome whether window within without writer
zookeeper
"""
EVERYDAY_WORDS: Final = frozenset(_WORDS.split())
"""In small letters. A secret equal to one of them keeps nobody out, and is all over messages that mean something else."""
