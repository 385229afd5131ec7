"""MNIST-1D and trained networks in other frameworks: a module for each, which imports its framework on import."""
