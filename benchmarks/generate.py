"""Start the load generator: its classes must be those that the plan was pickled with."""

from benchmarks.load import main

main()
