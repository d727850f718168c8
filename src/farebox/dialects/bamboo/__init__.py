"""Bamboo Payment's merchant API: three generations, direct tokenization and payment links."""
