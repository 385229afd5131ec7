import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: metalearning the data")

with app.setup:
    import os

    import marimo as mo
    import numpy as np
    import optax
    import xarray as xr
    from matplotlib.figure import Figure

    import flylab
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, band, style
    from flylab.results.statistics import plus_minus
    from flylab.training.metalearning import MetaPlan, metalearn


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Which data teach best?

    Usually the data are fixed, and the network learns. Here we turn this round. The **test set** is fixed: the default
    MNIST-1D. So are the network and the training time of 300 steps. Which **training data** should the network see?
    Data like those of the test? Cleaner ones, which show what matters? Or noisier ones, which make it robust?

    The generator is a differentiable function of its data parameters. So gradient descent can optimise the *training
    data*: the gradient flows from the loss after the last step, through 300 steps of training, into the noise of the
    examples.
    """)
    return


@app.cell
def _():
    preset = mo.ui.dropdown(["smoke", "quick", "paper"], os.environ.get("FLYLAB_PRESET", "quick"), label="preset")
    preset
    return (preset,)


@app.cell
def _(preset):
    n_steps, n_outer_steps, n_seeds = {"smoke": (20, 3, 2), "quick": (300, 30, 4), "paper": (300, 60, 10)}[preset.value]
    return n_outer_steps, n_seeds, n_steps


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Predict before you look

    Smooth noise is the harder kind, because it looks like pieces of digits. In the test set its amplitude is 0.25.
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(0.0, 0.7, step=0.01, value=0.25, label="amplitude that teaches best", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## A data source for training, another for testing

    `flylab.endless(config)` generates fresh examples within each training step, with the data parameters of the member
    that is trained. By default, its validation and test sets have the same data parameters, and then the best noise
    is trivially none. So we change how the source makes these sets: they always have the default data parameters.
    """)
    return


@app.cell
def _(n_steps):
    DATA_PARAMS = ("corr_noise_scale", "scale_coeff", "shear_scale")
    default = {name: getattr(flylab.MNIST1D(), name) for name in DATA_PARAMS}

    def with_default_test(source):
        def evaluation(shared, hparams):
            test_params = {**hparams, **default}
            return source.evaluation(source.prepare(test_params), test_params)

        return source._replace(evaluation=evaluation)

    source = with_default_test(flylab.endless(flylab.MNIST1D()))
    objective = flylab.supervised(flylab.get_model("shallow"))  # a tanh MLP 40-50-10
    plan = flylab.Plan(n_steps, batch_size=50, eval_every=n_steps, optimizer="sgd")
    learning_rate = 0.5
    default
    return DATA_PARAMS, default, learning_rate, objective, plan, source


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## First, the landscape

    With a single data parameter, you can simply try many values. The amplitude changes no array's shape, so it is an
    axis of the population: one compiled program trains all amplitudes.
    """)
    return


@app.cell
def _(learning_rate, n_seeds, objective, plan, source):
    amplitudes = (0.0, 0.06, 0.12, 0.18, 0.25, 0.35, 0.5, 0.7)
    grid = flylab.train_members(
        objective,
        source,
        plan,
        {"learning_rate": [learning_rate], "corr_noise_scale": amplitudes, "seed": range(n_seeds)},
    ).results.isel(learning_rate=0, step=-1)
    return (grid,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Then, descent

    The outer loss is the **validation** loss after the last step. (We keep the test set for the end: once you descend
    the test loss, you no longer have a test set.) We start from two amplitudes: almost no noise, and far too much.
    """)
    return


@app.cell
def _(learning_rate, n_outer_steps, n_seeds, objective, plan, source):
    def last_valid_loss(history):
        return history["valid_loss"][-1]

    starts = (0.03, 0.6)
    descent = MetaPlan(
        plan,
        n_outer_steps,
        optax.adam(optax.cosine_decay_schedule(0.05, n_outer_steps), b1=0.5, b2=0.9),  # averages over few steps
        outer=last_valid_loss,
        save_hparams_at=tuple(range(n_outer_steps + 1)),
    )
    descended = metalearn(
        objective,
        source,
        descent,
        [{"corr_noise_scale": start} for start in starts],
        range(n_seeds),
        fixed={"learning_rate": learning_rate},
    )
    return descended, descent, starts


@app.cell
def _(default, descended, grid, n_outer_steps, n_seeds, starts):
    path = xr.DataArray(
        descended.saved_hparams["corr_noise_scale"],
        {"start": list(starts), "seed": range(n_seeds), "outer_step": range(n_outer_steps + 1)},
        ("start", "seed", "outer_step"),
        attrs={"long_name": "amplitude of smooth noise"},
    )
    path.outer_step.attrs["long_name"] = "outer steps"

    def landscape(grid, path):
        with style():
            figure = Figure(figsize=(10, 3.8))
            left, right = figure.subplots(1, 2)
            band(left, grid.valid_loss, color=COLOURS[2], label="grid", marker="o", markersize=3)
            for start, colour in zip(path.start.values, COLOURS, strict=False):
                amplitude = path.sel(start=start)
                band(right, amplitude, color=colour, label=f"from {start:g}")
                end = float(amplitude.isel(outer_step=-1).mean())
                left.axvline(end, color=colour, label=f"end of descent from {start:g}")
            for draw_line in (left.axvline, right.axhline):
                draw_line(default["corr_noise_scale"], color="0.5", linestyle=":")
            left.set(xlabel="amplitude of smooth noise in training", ylabel="validation loss (nats)")
            left.set_title("The landscape (dotted: the noise of the test)")
            right.set_title("Descent")
            for ax in (left, right):
                ax.legend(fontsize=8)
        return figure

    notebook.figure(landscape(grid, path), "validation loss against the noise of the training data, and two descents")
    return (path,)


@app.cell(hide_code=True)
def _(default, grid, guess, n_seeds, path, starts):
    ends = path.isel(outer_step=-1)
    notebook.folded(
        mo.md(
            f"""
    You said {guess.value:g}. Descent ends at {plus_minus(ends.sel(start=starts[0]), 2)} from below and at
    {plus_minus(ends.sel(start=starts[1]), 2)} from above (mean ± half of the 95 % interval over {n_seeds} seeds).
    The best amplitude of the grid is {float(grid.valid_loss.mean("seed").idxmin("corr_noise_scale")):g}, and the
    test set's is {default["corr_noise_scale"]:g}.
    """
        ),
        title="Compare with your prediction",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Several data parameters at once

    A grid over three data parameters has hundreds of points, but a gradient has only three components. Start from
    examples with hardly any variation, and descend in noise, scale and shear together.
    """)
    return


@app.cell
def _(DATA_PARAMS, default, descent, learning_rate, n_seeds, objective, source):
    joint = metalearn(
        objective,
        source,
        descent,
        [dict.fromkeys(DATA_PARAMS, 0.1)],
        range(n_seeds),
        fixed={"learning_rate": learning_rate},
    )
    learned = {name: joint.hparams[name][0] for name in DATA_PARAMS}  # one value per seed
    notebook.table(
        flylab.study.Table(
            "Data parameters that teach best",
            ("data parameter", "start", "learned (mean ± half of the 95 % interval)", "test set"),
            [(name, "0.1", plus_minus(learned[name], 2), f"{default[name]:g}") for name in DATA_PARAMS],
        )
    )
    return (learned,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Which data parameters came close to those of the test set, and which did not? A data parameter whose gradient is
    almost 0 stays near its start: look at its interval.

    ## The test

    Now train new networks on the default data and on the learned data, with seeds that metalearning did not use. Both
    are tested on the same default test set, which nothing has used so far.
    """)
    return


@app.cell
def _(
    DATA_PARAMS,
    default,
    learned,
    learning_rate,
    n_seeds,
    n_steps,
    objective,
    plan,
    source,
):
    def test_accuracy(data_params):
        axes = {"learning_rate": [learning_rate]} | {name: [value] for name, value in data_params.items()}
        results = flylab.train_members(objective, source, plan, axes | {"seed": range(100, 100 + 2 * n_seeds)}).results
        return results.test_accuracy.isel(step=-1).squeeze(drop=True)

    accuracy_default = test_accuracy(default)
    accuracy_learned = test_accuracy({name: float(np.mean(learned[name])) for name in DATA_PARAMS})
    gain = accuracy_learned - accuracy_default
    mo.md(
        f"Test accuracy after {n_steps} steps: default data {plus_minus(accuracy_default)} %, "
        f"learned data {plus_minus(accuracy_learned)} %. The difference, paired by seed, is "
        f"**{plus_minus(gain)}** points."
    )
    return (gain,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    Each of the three sets has its task. The *training* data teach. The *validation* set chooses (here, the data
    parameters). The *test* set measures, once. The difference is paired, because both networks of a pair start from
    the same weights. If its interval contains 0, this run cannot tell which data are better, whatever the validation
    loss says.

    ## More to try

    - Use `get_model("cnn")` in place of `get_model("shallow")`, with a rate of 0.01 and
      `optimizer=lambda hparams: optax.adam(hparams["learning_rate"], eps_root=1e-8)`. Does the same noise teach a CNN
      best?
    - Vary `n_steps`. Is the best noise lower for a short training than for a long one? That would be a *curriculum*.
    - `max_translation` is an integer, so it has no gradient. What would you do?
    - Ascend the *test set's* data parameters, to find the hardest test for a given network.

    ## Further reading

    - D. Maclaurin, D. Duvenaud, R. Adams, ICML 2015 ([arXiv 1502.03492](https://arxiv.org/abs/1502.03492)), who also
      learned training images.
    - T. Wang et al.: *Dataset distillation*, 2018 ([arXiv 1811.10959](https://arxiv.org/abs/1811.10959)).
    - J. Tobin et al.: *Domain randomization*, 2017 ([arXiv 1703.06907](https://arxiv.org/abs/1703.06907)): deliberate
      variation, chosen by hand.
    """)
    return


@app.cell(hide_code=True)
def _(gain):
    if mo.app_meta().mode == "script":
        print(f"learned − default data: {plus_minus(gain)} points of test accuracy")
    return


if __name__ == "__main__":
    app.run()
