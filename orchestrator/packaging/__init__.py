"""The contents of a package: pickle and requirements, compiled model, contract checks, Dockerfile."""
