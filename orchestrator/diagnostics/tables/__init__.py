"""Tables of failure rules, one for each kind of log."""
