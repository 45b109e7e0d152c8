"""Kubernetes: nodes, services, pods, endpoints, endpoint slices and ingresses, watched at the API server."""
