"""From a CSV to a tested, running endpoint: the spec, the engine, the stages and where they reach out."""
