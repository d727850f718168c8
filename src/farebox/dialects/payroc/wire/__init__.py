"""The structs of the Payroc API, by family."""
