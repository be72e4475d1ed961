"""The configuration as one frozen, validated value: RunSpec and its sections, and the components they name."""
