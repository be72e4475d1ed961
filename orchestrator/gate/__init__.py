"""The gate: decide from hold-out rows whether a new version may take the champion's place."""
