"""tpc, a symbolic compiler for Tensor Programs."""
