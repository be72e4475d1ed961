"""JSON Schema of the configuration, for editors: made from the spec, the classes that conf/ names, and its comments."""
