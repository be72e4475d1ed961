"""Models and environments, as each SDK and MLflow see them."""
