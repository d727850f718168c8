"""Inbound wire protocols, each a declaration that the engine runs."""
