"""Reading of CSV and Parquet tables, shared by the configuration check, training and batch scoring."""
