import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: pooling")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import pooling


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Is pooling any good?

    Pooling takes the maximum, or the average, of neighbouring outputs of a convolution. For twenty years, nearly every
    convolutional network had it. Then many networks dropped it: strided convolutions do as well, one reads, if there
    are enough data. Both can be true, because a prior is worth most to a network that has seen little.

    Here a small CNN learns MNIST-1D without pooling, with stride 2 instead, and with three kinds of pooling. It learns
    from few examples, from many, and from an endless stream in which no example comes twice.
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

    In Greydanus & Kobak's notebook, networks with pooling reach 77 to 78 % from 1000 examples, and those without reach
    59 %. With many examples, says their essay, there is "not much difference"; a caption in the paper says that
    pooling then *hinders*. Each number comes from a single network.

    ## Predict before you look
    """)
    return


@app.cell
def _():
    guess_low = mo.ui.slider(-10, 30, value=5, label="max pooling − none, 1000 examples, in points", show_value=True)
    guess_low
    return (guess_low,)


@app.cell
def _():
    guess_endless = mo.ui.slider(
        -10, 30, value=-2, label="max pooling − none, endless data, in points", show_value=True
    )
    guess_endless
    return (guess_endless,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {pooling.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("pooling", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_endless, guess_low, results):
    notebook.folded(
        mo.md(
            f"""
    - **1000 examples.** {notebook.answer(results, "low-data-max", guess_low.value)}
    - **Endless data.** {notebook.answer(results, "endless-equal-max", guess_endless.value)}
    """
        ),
        title="Compare with your prediction",
    )
    return


@app.cell
def _(results):
    notebook.folded(notebook.claims(results), title="Show the verdicts")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars: how to say "no difference"

    A test that finds no significant difference proves nothing: with few seeds, that is easy. To *claim* that two things
    are equal, first name a margin, here ±1 point. Then show that the whole interval lies within it. The claims
    "differs from none by less than 1 point" do this. Here are the seeds behind them:
    """)
    return


@app.cell
def _(results):
    _endless = {name: pooling.gain(name, source="endless")(results).mean("n_train") for name in pooling.TRUE_POOLINGS}
    notebook.table(
        flylab.study.Table(
            "Gain over no pooling with endless data (points)",
            ("pooling", "mean ± half of the 95 % interval", "smallest seed", "largest seed"),
            [
                (pooling.TITLES[name], plus_minus(gain, 2), f"{float(gain.min()):.2f}", f"{float(gain.max()):.2f}")
                for name, gain in _endless.items()
            ],
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: what makes pooling work?

    Stride 2 makes the layers as small as pooling does, and does nothing else. If pooling helped because later layers
    are smaller, stride would help as well.
    """)
    return


@app.cell
def _(results):
    _gains = [
        (pooling.TITLES[name], plus_minus(pooling.gain(name, source="published")(results).isel(n_train=0)))
        for name in results.pooling.values
        if name != "none"
    ]
    notebook.table(
        flylab.study.Table(
            "Gain over no pooling with the fewest examples (points)", ("", "mean ± half of the 95 % interval"), _gains
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    What do the three kinds of pooling have in common that stride lacks? Say it in one sentence. Then think of a sixth
    kind of layer that would tell whether you are right. (`flylab.models.convolutional.pooling_cnn` is short. Write
    your own as in `own_model`.)

    ## More to try

    - `flylab.run("pooling", preset.value, out, train_sizes=(250, 500, 1000))`: is there a number of examples so
      small that pooling stops helping?
    - `data=flylab.MNIST1D(n_valid=0, max_translation=1)`: does pooling help if no signal is translated?
    - The preset `paper` has six training-set sizes. It tests the claim that pooling hinders with 50 000 examples.

    ## Further reading

    - Y-L. Boureau, J. Ponce, Y. LeCun: *A theoretical analysis of feature pooling in visual recognition*, ICML
      2010.
    - J. Springenberg et al.: *Striving for simplicity: the all convolutional net*, 2014 ([arXiv
      1412.6806](https://arxiv.org/abs/1412.6806)): stride in place of pooling.
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)), figure 9.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
