"""Preparation for scikit-learn: label encoding, the width of one-hot columns, recognising halving searches."""
