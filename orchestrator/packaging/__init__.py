"""What goes into a package: the pickle and its requirements, the compiled model, the Dockerfile."""
