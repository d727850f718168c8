"""The Payroc API: cards, bank transfers, secure tokens, repeat payments, links and events."""
