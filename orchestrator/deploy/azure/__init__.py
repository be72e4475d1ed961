"""Targets of Azure ML: container instances, managed online endpoints, Kubernetes."""
