"""RunSpec: the configuration as one frozen, validated value, and the components it names."""
