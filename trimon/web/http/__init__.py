"""One pipeline for every request: connections, limits, middleware, parameters, answers."""
