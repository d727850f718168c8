"""Public test kit: exercise suites, fakes, fault injection."""
