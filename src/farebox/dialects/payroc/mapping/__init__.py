"""Readers and writers of the Payroc API, by family."""
