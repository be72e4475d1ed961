"""What ships to a server: the entry script, the contract at its door, the transformers, the server.

Imports nothing of ``orchestrator``, nothing of Azure, no mlflow: this folder is copied into every package.
"""
