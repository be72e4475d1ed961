"""Code shipped in every package: Azure ML entry script, request contract, transformers, HTTP server.

Imports neither ``orchestrator`` nor Azure nor MLflow, as this folder is copied into every package.
"""
