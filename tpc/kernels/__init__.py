"""Kernels of networks at infinite width, and what is done with them."""
