"""The request contract: columns, classes, versions, golden requests, the distribution of the training data."""
