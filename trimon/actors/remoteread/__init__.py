"""Asking other servers for samples: the endpoints of remote read, and what is fetched of them for a query."""
