"""The HTTP interfaces beside /score: Open Inference Protocol, OpenAPI, documentation, the page at /."""
