"""The house ring: what the repository promises about itself, read from its files."""
