"""What somebody may do with the pages, so that they offer nothing that the routes behind them would refuse."""

from __future__ import annotations

from trimon.web.auth.accounts import ALL_ROLES
from trimon.web.context import WebContext
from trimon.web.http.hosts import is_loopback
from trimon.web.http.request import Request
from trimon.web.http.role import Role

DEBUG = "debug"
"""Sees actors, problems and the memory of the process."""
QUERIES = "queries"
"""Sees the queries of all."""
PLAN = "plan"
"""Plans another configuration."""
SCRAPE = "scrape"
"""Has a target scraped now."""
DELETE = "delete"
"""Deletes series."""


def may_see_queries(context: WebContext, request: Request) -> bool:
    """Where users are told apart the role has been checked; where they are not, this machine may."""
    return bool(request.user) or is_loopback(request.client) or context.options.enable_admin_api


def permissions(context: WebContext, request: Request) -> frozenset[str]:
    """What who asks may do, of what not everybody may."""
    accounts = context.security.now.accounts
    roles = ALL_ROLES if accounts is None else accounts.roles(request.user)
    options = context.options
    found = {
        DEBUG: Role.DEBUG in roles and (options.allow_remote_debug or is_loopback(request.client)),
        QUERIES: Role.ADMIN in roles and may_see_queries(context, request),
        PLAN: Role.ADMIN in roles and options.enable_lifecycle,
        SCRAPE: Role.ADMIN in roles,
        DELETE: Role.ADMIN in roles and options.enable_admin_api,
    }
    return frozenset(name for name, holds in found.items() if holds)
