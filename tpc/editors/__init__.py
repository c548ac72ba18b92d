"""Where programs are written: cells of notebooks, and editors, with what they know of the language."""
