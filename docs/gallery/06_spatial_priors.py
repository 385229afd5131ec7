"""Spatial priors: the cost of shuffling the positions, for sixteen models"""

from flylab.studies import continuum

continuum.figure(continuum.load_reference()).savefig("06_spatial_priors.png", dpi=90)
