"""Web services and online endpoints: from a request for one to a running instance."""
