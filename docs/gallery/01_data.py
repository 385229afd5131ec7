"""The data set, and how an example is made"""

import flylab
from flylab.results.plots import data_figure

data_figure(flylab.MNIST1D(), n_each=8).savefig("01_data.png", dpi=80)
