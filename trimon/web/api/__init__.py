"""The handlers of /api/v1, one module an area: plain functions from a request to an answer."""
