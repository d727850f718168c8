"""Wire protocols as declarations."""
