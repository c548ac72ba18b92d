"""What a user is told: places in a text, diagnostics, and the catalogue of everything that can be wrong."""
