"""Dintero's Checkout and Payments API."""
