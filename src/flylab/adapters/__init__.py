"""MNIST-1D and trained networks in other frameworks, a module each, imported only where used."""
