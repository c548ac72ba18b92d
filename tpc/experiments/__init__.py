"""The papers' experiments: programs with the sampling of data and the bookkeeping around them."""
