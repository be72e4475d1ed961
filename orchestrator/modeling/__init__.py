"""Preparation of tables for scikit-learn: label encoding, and the width of one-hot columns."""
