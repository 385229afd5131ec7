"""Drop-in replacements for other packages: change one import, and client code runs as before."""
