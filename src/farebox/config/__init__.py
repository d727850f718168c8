"""Settings: TOML, environment and secret files."""
