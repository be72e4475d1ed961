"""What all emulated services use: addresses, documents, tokens, faults, responses."""
