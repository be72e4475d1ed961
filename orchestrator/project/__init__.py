"""A new project from a table: how the table is written, what its columns are, what to choose, and the files."""
