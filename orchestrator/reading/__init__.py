"""Tables as people keep them, read in one way: by the configuration check, by training and by batch scoring."""
