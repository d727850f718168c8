"""The vault, its keys and the digests of secrets."""
