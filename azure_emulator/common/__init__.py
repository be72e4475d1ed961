"""What all emulated services share: addresses, documents, tokens, faults, responses."""
