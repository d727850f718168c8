"""Programs for those who work on Farebox; nothing of it is installed."""
