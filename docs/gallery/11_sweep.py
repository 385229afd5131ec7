"""A sweep as a heat map"""

import tempfile

import flylab
from flylab.reporting.charts import chart

axes = {"learning_rate": {"log": [1e-4, 1e-1, 4]}, "iid_noise_scale": [0.0, 0.1, 0.2, 0.4]}
sweep = flylab.Sweep("train", axes, fixed={"model": "mlp", "n_steps": 500}, n_seeds=2)
with tempfile.TemporaryDirectory() as out:
    results = flylab.run(sweep, out=out)
    figure = chart(results, "test_accuracy", "learning_rate", y="iid_noise_scale")
figure.savefig("11_sweep.png", dpi=110)
