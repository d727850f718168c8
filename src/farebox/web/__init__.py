"""The ASGI edge: sockets, limits, health, documents. It speaks no protocol itself; the engines do."""
