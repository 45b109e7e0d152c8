"""The configuration of the example: how its targets are found, and rules of which each shows something else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trimon.demo.families import Target

CONFIGURATION: Final = """\
# The configuration of `trimon demo`.
global:
  scrape_interval: 5s
  scrape_timeout: 4s
  evaluation_interval: 5s
  external_labels:
    cluster: demo

rule_files: [rules.yml]

alerting:
  alertmanagers:
    - path_prefix: /alertmanager
      static_configs:
        - targets: ["{address}"]

scrape_configs:
  - job_name: trimon
    metrics_path: {prefix}/metrics
    static_configs:
      - targets: ["{server}"]

  - job_name: shop
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    file_sd_configs:
      - files: [targets/*.json]
    relabel_configs:
      # The example keeps to one environment: what is of another is found, and dropped.
      - source_labels: [env]
        regex: staging
        action: drop
      - source_labels: [service]
        target_label: job
      - regex: service|rack
        action: labeldrop
"""
RULES: Final = """\
groups:
  - name: shop
    rules:
      - record: job:shop_requests:rate1m
        expr: sum by (job) (rate(shop_requests_total[1m]))
      - record: job:shop_errors:ratio1m
        expr: sum by (job) (rate(shop_requests_total{code=~"5.."}[1m])) / job:shop_requests:rate1m
      - record: route:shop_request_duration_seconds:p95_5m
        expr: histogram_quantile(0.95, sum by (route) (rate(shop_request_duration_seconds[5m])))

  - name: alerts
    rules:
      - alert: TargetDown
        expr: up == 0
        for: 10s
        keep_firing_for: 1m
        labels:
          severity: page
        annotations:
          summary: "{{ $labels.instance }} of {{ $labels.job }} does not answer"
          description: "Scrapes of it fail since a while. Its last scrapes, on the page of targets, say why."
      - alert: QueueGrows
        expr: deriv(shop_queue_jobs{queue="invoices"}[10m]) > 0.05
        for: 4h
        labels:
          severity: ticket
        annotations:
          summary: "{{ $labels.queue }} of {{ $labels.instance }} grows by {{ $value | humanize }} jobs a second"
      - alert: CheckoutFails
        expr: >-
          sum(rate(shop_requests_total{route="/checkout",code="500"}[5m]))
            / sum(rate(shop_requests_total{route="/checkout"}[5m])) > 0.6
        for: 30m
        labels:
          severity: page
        annotations:
          summary: "{{ $value | humanizePercentage }} of checkouts fail"

  - name: mistakes
    interval: 15s
    rules:
      # It never matches: there is no job of this name.
      - alert: CheckoutDown
        expr: up{job="chekout"} == 0
      # It fails: there are several queues on both sides.
      - alert: TooFewWorkers
        expr: shop_queue_jobs / on (job) shop_jobs_total > 100
"""


def write_configuration(
    directory: Path, targets: Iterable[Target], address: str, closed: str, server: str, prefix: str
) -> Path:
    """Write the files of a configuration, and return the one to start with; targets that are gone are at `closed`."""
    groups = [
        {
            "targets": [closed if target.gone_from_s < float("inf") else address],
            "labels": {
                **target.labels,
                "instance": target.name,
                "service": target.job,
                "rack": f"r{number % 3 + 1}",
                "__metrics_path__": target.path,
            },
        }
        for number, target in enumerate(targets)
    ]
    staging = [
        {
            "targets": [address],
            "labels": {
                "env": "staging",
                "instance": f"{name}-staging",
                "service": name,
                "rack": "r9",
                "__metrics_path__": f"/{name}-staging/metrics",
            },
        }
        for name in ("api", "worker")
    ]
    (directory / "targets").mkdir()
    for name, found in (("production", groups), ("staging", staging)):
        (directory / "targets" / f"{name}.json").write_text(json.dumps(found, indent=2))
    (directory / "rules.yml").write_text(RULES)
    file = directory / "demo.yml"
    file.write_text(CONFIGURATION.format(address=address, server=server, prefix=prefix))
    return file
