"""Public test kit: virtual time, seeded chance, processes that die between any two awaits."""
