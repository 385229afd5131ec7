"""What has no science in it: types, random streams, configs, files, units, optional imports, JAX's setup."""
