import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: learning rate")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import learning_rate


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Can gradient descent choose its own learning rate?

    A training run is a long computation, and computations can be differentiated. If the learning rate had been a bit
    larger, how much smaller would the loss have been, *over the whole run of 200 steps*? The answer is a gradient, and
    we can descend it. This is gradient descent on the learning rate of gradient descent.
    """)
    return


@app.cell
def _():
    preset = mo.ui.dropdown(["smoke", "quick", "paper"], os.environ.get("FLYLAB_PRESET", "quick"), label="preset")
    out = "runs"  # the folder of all runs; a finished run is loaded, not trained again
    preset
    return out, preset


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What was claimed

    Greydanus & Kobak (2024, section 3.3) report two runs. They started from learning rates of 1.5 and 0.15, ten times
    apart, and both ended at 0.62. Is 0.62 the best rate, or only where this kind of descent gets stuck? Do all other
    starts lead there, too?

    ## Predict before you look
    """)
    return


@app.cell
def _():
    guess_rate = mo.ui.slider(0.05, 3, step=0.05, value=0.2, label="the rate that metalearning finds", show_value=True)
    guess_rate
    return (guess_rate,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    The network is a tanh MLP, trained by plain gradient descent. Will metalearning succeed from a rate of 3? And from
    a rate of 0.05?

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {learning_rate.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("learning_rate", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_rate, results):
    notebook.folded(
        mo.md(
            f"""
    {notebook.answer(results, "value", guess_rate.value)}

    The best rate on a dense grid is {plus_minus(learning_rate.best_rate(results), 3)}.
    """
        ),
        title="Compare with your prediction",
    )
    return


@app.cell
def _(results):
    notebook.folded(notebook.table(results), title="Show the table")
    return


@app.cell
def _(results):
    notebook.folded(notebook.claims(results), title="Show the verdicts")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    "It finds the best rate" claims that two numbers are *equal*. Such a claim needs a margin (here ±0.1), and the whole
    interval must lie within it. For each seed, the metalearned rate is compared with the best rate of the **same**
    network on the same data, because each seed has a loss landscape of its own.

    The band around the landscape shows the uncertainty of the mean over seeds, not of one run. A single descent may
    end elsewhere. The column *diverged* counts the descents that ended with a higher loss than they started with.

    ## An experiment: how much does the best rate matter?

    How far may the rate be from the best one before the mean loss is 2 % higher?
    """)
    return


@app.cell
def _(results):
    _loss = results.grid_loss.sel(treatment="grid").mean("seed").sortby("learning_rate")
    _good = _loss.learning_rate.values[(_loss <= 1.02 * _loss.min()).values]
    mo.md(f"At rates from **{_good.min():.2g}** to **{_good.max():.2g}**, the mean loss is within 2 % of the lowest.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Now look at the right side of the landscape. It has a cliff: beyond it, the rate is too large, and training
    diverges. Near the cliff, gradients through training explode. They are correct, and useless (Metz et al. 2021).

    ## More to try

    - `flylab.run("learning_rate", preset.value, out, n_steps=400)`: is the best rate for a longer run higher or
      lower?
    - `outer_rate=3.0` descends with ten times the step size. Which starts still arrive?
    - `fresh_start=True` draws new initial weights in every outer step. Is that harder?
    - A learning rate for *every step* is the same idea with 200 hyper-parameters. The docs page *metalearning* shows
      how.

    ## Further reading

    - D. Maclaurin, D. Duvenaud, R. Adams: *Gradient-based hyperparameter optimization through reversible learning*,
      ICML 2015 ([arXiv 1502.03492](https://arxiv.org/abs/1502.03492)).
    - L. Metz et al.: *Gradients are not all you need*, 2021 ([arXiv 2111.05803](https://arxiv.org/abs/2111.05803)).
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)).
    - Next: `activation` metalearns a function, and `metalearning_the_data` metalearns the data.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
