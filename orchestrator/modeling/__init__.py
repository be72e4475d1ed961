"""What stands between the table and scikit-learn: label encoding, and the width of one-hot columns."""
