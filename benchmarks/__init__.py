"""What Farebox costs, beside what this very machine and HTTP server cost without it."""
