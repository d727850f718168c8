"""What the use cases need from outside, as Protocols and their value types."""
