"""How any study or sweep is run: grids, the plan of members, the store, executors, provenance."""
