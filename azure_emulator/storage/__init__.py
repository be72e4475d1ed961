"""Blob storage and the artifact service."""
