"""Container instances: their environment, process, keys and traffic."""
