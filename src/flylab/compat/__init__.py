"""Drop-in replacements for other packages: change one import, and code written for them runs."""
