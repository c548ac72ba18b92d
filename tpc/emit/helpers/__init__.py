"""What is copied into emitted modules: files of helpers, in sections, JAX code as a person would write it.

Tested as code.
"""
