"""Processors that authorize and move money."""
