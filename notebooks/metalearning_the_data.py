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
    from flylab.models import dense
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, band, style
    from flylab.results.statistics import plus_minus
    from flylab.training.metalearning import MetaPlan, metalearn


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Which data teach best?

    Usually data are given and the network is learned. Turn it round. The **test** is given: the usual MNIST-1D. The
    network is given, and so is the time: 300 steps. Which **training data** should it see? Exactly such as will be
    tested? Cleaner ones, so that it sees what matters? Noisier ones, so that it is hardened?

    The generator is a function of its hparams, and differentiable in them. So training data can be *descended*: the
    gradient goes from the loss after the last step, through 300 steps of training, into the noise of the examples.
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

    Smooth noise is the troublesome kind: it looks like pieces of digits. In the test its amplitude is 0.25.
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
    ## A source of data with two faces

    `flylab.endless(config)` makes fresh examples within each training step, under the hparams of the member that is
    trained. Its validation and test sets would have the same hparams, and then the best noise would trivially be
    none. So we give it another face for the test: whatever the knobs are, it is held on the usual data.
    """)
    return


@app.cell
def _(n_steps):
    DATA_PARAMS = ("corr_noise_scale", "scale_coeff", "shear_scale")
    usual = {name: getattr(flylab.MNIST1D(), name) for name in DATA_PARAMS}

    def tested_on_the_usual(source):
        def evaluation(shared, hparams):
            fixed = {**knobs, **usual}
            return source.evaluation(source.prepare(fixed), fixed)

        return source._replace(evaluation=evaluation)

    source = tested_on_the_usual(flylab.endless(flylab.MNIST1D()))
    objective = flylab.supervised(dense.shallow())  # a tanh MLP 40-50-10
    plan = flylab.Plan(n_steps, batch_size=50, eval_every=n_steps, optimizer="sgd")
    learning_rate = 0.5
    usual
    return DATA_PARAMS, learning_rate, objective, plan, source, usual


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## First the landscape

    As long as there is one knob only, one can simply try. A knob that shapes nothing is an axis of the population:
    one compiled program for all amplitudes.
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
    ## Then descend

    The outer loss is the **validation** loss after the last step. (The test set is for the end. Who descends the
    test loss has no test set any more.) Two starts: nearly no noise, and far too much.
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
        optax.adam(optax.cosine_decay_schedule(0.05, n_outer_steps), b1=0.5, b2=0.9),  # a short memory
        outer=last_valid_loss,
        save_hparams_at=tuple(range(n_outer_steps + 1)),
    )
    found = metalearn(
        objective,
        source,
        descent,
        [{"corr_noise_scale": start} for start in starts],
        range(n_seeds),
        fixed={"learning_rate": learning_rate},
    )
    return descent, found, starts


@app.cell
def _(found, grid, n_outer_steps, n_seeds, starts, usual):
    path = xr.DataArray(
        found.saved_hparams["corr_noise_scale"],
        {"start": list(starts), "seed": range(n_seeds), "outer_step": range(n_outer_steps + 1)},
        ("start", "seed", "outer_step"),
        attrs={"long_name": "amplitude of smooth noise"},
    )
    path.outer_step.attrs["long_name"] = "outer steps"

    def landscape(grid, path):
        with style():
            drawn = Figure(figsize=(10, 3.8))
            left, right = drawn.subplots(1, 2)
            band(left, grid.valid_loss, color=COLOURS[2], label="grid", marker="o", markersize=3)
            for start, colour in zip(path.start.values, COLOURS, strict=False):
                one = path.sel(start=start)
                band(right, one, color=colour, label=f"from {start:g}")
                left.axvline(float(one.isel(outer_step=-1).mean()), color=colour, label=f"descent from {start:g} ends")
            for draw in (left.axvline, right.axhline):
                draw(usual["corr_noise_scale"], color="0.5", linestyle=":")
            left.set(xlabel="amplitude of smooth noise in training", ylabel="validation loss (nats)")
            left.set_title("The landscape (dotted: the noise of the test)")
            right.set_title("Descent")
            for ax in (left, right):
                ax.legend(fontsize=8)
        return drawn

    notebook.figure(landscape(grid, path), "validation loss against the noise of the training data, and two descents")
    return (path,)


@app.cell(hide_code=True)
def _(grid, guess, n_seeds, path, starts, usual):
    ends = path.isel(outer_step=-1)
    mo.md(
        f"""
    You said {guess.value:g}. Descent ends at {plus_minus(ends.sel(start=starts[0]), 2)} from below and at
    {plus_minus(ends.sel(start=starts[1]), 2)} from above (mean ± half of the 95 % interval over {n_seeds} seeds);
    the best of the grid is {float(grid.valid_loss.mean("seed").idxmin("corr_noise_scale")):g}. The test has
    {usual["corr_noise_scale"]:g}.
    """
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Several knobs at once

    A grid over three hparams has hundreds of points; a gradient has three components. Start from examples with hardly
    any variation at all, and descend in noise, scale and shear together.
    """)
    return


@app.cell
def _(DATA_PARAMS, descent, learning_rate, n_seeds, objective, source, usual):
    together = metalearn(
        objective,
        source,
        descent,
        [dict.fromkeys(DATA_PARAMS, 0.1)],
        range(n_seeds),
        fixed={"learning_rate": learning_rate},
    )
    learned = {name: together.hparams[name][0] for name in DATA_PARAMS}  # one value per seed
    notebook.table(
        flylab.study.Table(
            "Knobs of the data that teach best",
            ("knob", "start", "learned (mean ± half of the 95 % interval)", "the test's"),
            [(name, "0.1", plus_minus(learned[name], 2), f"{usual[name]:g}") for name in DATA_PARAMS],
        )
    )
    return (learned,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Which knob came close to the test's value, and which did not care? A knob whose gradient is nearly 0 stays where
    it is: look at its interval.

    ## The test

    Now train new networks: on the usual data, and on the learned ones. Both are tested on the same usual test set,
    which nothing has seen so far, with seeds that metalearning did not use.
    """)
    return


@app.cell
def _(
    DATA_PARAMS,
    learned,
    learning_rate,
    n_seeds,
    n_steps,
    objective,
    plan,
    source,
    usual,
):
    def tested(hparams):
        axes = {"learning_rate": [learning_rate]} | {name: [value] for name, value in hparams.items()}
        results = flylab.train_members(objective, source, plan, axes | {"seed": range(100, 100 + 2 * n_seeds)}).results
        return results.test_accuracy.isel(step=-1).squeeze(drop=True)

    best = {name: float(np.mean(learned[name])) for name in DATA_PARAMS}
    taught = {"usual data": tested(usual), "learned data": tested(best)}
    gain = taught["learned data"] - taught["usual data"]
    mo.md(
        f"Test accuracy after {n_steps} steps: usual data {plus_minus(taught['usual data'])} %, "
        f"learned data {plus_minus(taught['learned data'])} %; difference, paired by seed, "
        f"**{plus_minus(gain)}** points."
    )
    return (gain,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    Three sets, three duties. *Training* data teach, the *validation* set chooses (here: the hparams), the *test* set
    measures, once. The difference is paired: both networks of a pair begin with the same weights. If its interval
    contains 0, this run does not know which data are better, whatever the validation loss said.

    ## More to try

    - `get_model("cnn")` in place of `get_model("shallow")` (with `optimizer=lambda hparams: optax.adam(hparams["learning_rate"],
      eps_root=1e-8)` and a rate of 0.01): is the noise that teaches a CNN best the same?
    - `n_steps`: is the best noise for a short training lower than for a long one? That would be a *curriculum*.
    - `max_translation` is a whole number, so there is no gradient. What would you do?
    - Descend the *test's* hparams, upwards: the hardest test for a given network.

    ## Further reading

    - D. Maclaurin, D. Duvenaud, R. Adams, ICML 2015 ([arXiv 1502.03492](https://arxiv.org/abs/1502.03492)): they
      learned training images, too.
    - T. Wang et al.: *Dataset distillation*, 2018 ([arXiv 1811.10959](https://arxiv.org/abs/1811.10959)).
    - J. Tobin et al.: *Domain randomization*, 2017 ([arXiv 1703.06907](https://arxiv.org/abs/1703.06907)):
      variation on purpose, chosen by hand.
    """)
    return


@app.cell(hide_code=True)
def _(gain):
    if mo.app_meta().mode == "script":
        print(f"learned − usual data: {plus_minus(gain)} points of test accuracy")
    return


if __name__ == "__main__":
    app.run()
