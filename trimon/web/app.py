"""The application: the table of all endpoints, and the chain over it."""

from __future__ import annotations

from typing import Final

from hypercorn.typing import ASGIFramework

from trimon.web.agent import of_agent
from trimon.web.api.actors import actor_endpoints
from trimon.web.api.admin import admin_endpoints
from trimon.web.api.alerting.alerthistory import alert_history_endpoints
from trimon.web.api.alerting.alerts import alerts_endpoints
from trimon.web.api.alerting.backtest import backtest_endpoints
from trimon.web.api.alerting.rules import rules_endpoints
from trimon.web.api.cardinality import cardinality_endpoints
from trimon.web.api.configplan import config_plan_endpoints
from trimon.web.api.features import feature_endpoints
from trimon.web.api.notifications import notification_endpoints
from trimon.web.api.openapi import openapi_endpoint
from trimon.web.api.problems import problem_endpoints
from trimon.web.api.querying.activequeries import active_query_endpoints
from trimon.web.api.querying.expressions import expression_endpoints
from trimon.web.api.querying.metadata import metadata_endpoints
from trimon.web.api.querying.queries import query_endpoints
from trimon.web.api.querying.search import search_endpoints
from trimon.web.api.querying.series import series_endpoints
from trimon.web.api.remote.influx import influx_endpoints
from trimon.web.api.remote.otlp import otlp_endpoints
from trimon.web.api.remote.pushgateway import pushgateway_endpoints
from trimon.web.api.remote.remotequeues import remote_queue_endpoints
from trimon.web.api.remote.remoteread import read_endpoints
from trimon.web.api.remote.remotewrite import write_endpoints
from trimon.web.api.security import security_endpoints
from trimon.web.api.status import status_endpoints
from trimon.web.api.targets.discovery import discovery_endpoints
from trimon.web.api.targets.listing import targets_endpoints
from trimon.web.api.targets.scrapes import scrapes_endpoints
from trimon.web.bundle import bundle_endpoints
from trimon.web.consoles import console_endpoints
from trimon.web.context import WebContext
from trimon.web.debug import debug_endpoints
from trimon.web.federation import federation_endpoints
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.pipeline import pipeline
from trimon.web.management import management_endpoints
from trimon.web.pages import missing_page, page_endpoints
from trimon.web.userassets import user_asset_endpoints

_AREAS: Final = (
    query_endpoints,
    active_query_endpoints,
    read_endpoints,
    write_endpoints,
    expression_endpoints,
    series_endpoints,
    search_endpoints,
    metadata_endpoints,
    targets_endpoints,
    scrapes_endpoints,
    discovery_endpoints,
    rules_endpoints,
    backtest_endpoints,
    alerts_endpoints,
    alert_history_endpoints,
    status_endpoints,
    cardinality_endpoints,
    config_plan_endpoints,
    security_endpoints,
    admin_endpoints,
    feature_endpoints,
    notification_endpoints,
    problem_endpoints,
    remote_queue_endpoints,
    actor_endpoints,
    federation_endpoints,
    otlp_endpoints,
    influx_endpoints,
    pushgateway_endpoints,
    console_endpoints,
    user_asset_endpoints,
    management_endpoints,
    debug_endpoints,
    bundle_endpoints,
    page_endpoints,
)


def all_endpoints(context: WebContext) -> list[Endpoint]:
    """Every route of the server."""
    endpoints = [endpoint for area in _AREAS for endpoint in area(context)]
    if context.options.agent:
        endpoints = of_agent(endpoints)
    return [*endpoints, openapi_endpoint(context, endpoints)]


def create_app(context: WebContext) -> ASGIFramework:
    """The whole front end over one context."""
    return pipeline(context, all_endpoints(context), missing_page(context))
