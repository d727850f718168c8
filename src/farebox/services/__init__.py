"""The use cases, behind one door (`application.py`)."""
