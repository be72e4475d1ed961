"""What a package promises: columns, classes, versions, golden requests, the distribution of training data."""
