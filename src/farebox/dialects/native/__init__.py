"""The native API, a dialect like the others."""
