"""Kubernetes: manifests, claims, and running pods on one node."""
