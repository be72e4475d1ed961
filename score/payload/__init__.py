"""Request bodies: JSON to checked columns, or every problem found."""
