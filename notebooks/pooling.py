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

    Pooling takes the maximum, or the average, of neighbouring outputs of a convolution. It was in nearly every
    convolutional network for twenty years, and then left many of them: strided convolutions do as well, one reads,
    if there are data enough. Both can be true. A prior is worth most to those who have seen little.

    Here a small CNN learns MNIST-1D without pooling, with stride 2 instead, and with three kinds of pooling, from
    few examples, from many, and from an endless stream in which none comes twice.
    """)
    return


@app.cell
def _():
    preset = mo.ui.dropdown(["smoke", "quick", "paper"], os.environ.get("FLYLAB_PRESET", "quick"), label="preset")
    out = "runs"  # the folder of all runs: what is there is not trained again
    preset
    return out, preset


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What was claimed

    Greydanus & Kobak's notebook: with 1000 examples, pooling reaches 78 to 80 % and no pooling 60 %. With many
    examples, their essay says, there is "not much difference"; a caption of the paper says that pooling *hinders*
    then. One network each.

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
        f"Preset **{preset.value}**: about {pooling.STUDY.minutes[preset.value]:g} minutes on two cores, "
        "the first time."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("pooling", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _(guess_endless, guess_low, results):
    mo.md(
        f"""
    - **1000 examples.** {notebook.answer(results, "low-data-max", guess_low.value)}
    - **Endless data.** {notebook.answer(results, "endless-equal-max", guess_endless.value)}
    """
    )
    return


@app.cell
def _(results):
    notebook.claims(results)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars: how to say "no difference"

    A test that finds no significant difference has found nothing, and with few seeds that is easy. To *claim* that
    two things are equal, you name a margin first, here ±1 point, and then show that the whole interval lies within
    it. That is what the claims "differs from none by less than 1 point" do. Here are the seeds behind them:
    """)
    return


@app.cell
def _(results):
    _endless = {name: pooling.gain(results, name, "endless").mean("n_train") for name in pooling.TRUE_POOLINGS}
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
    ## An experiment: what is it about pooling?

    Stride 2 makes the layer as small as pooling does, and does nothing else. If pooling helped because later layers
    are smaller, stride would help as well.
    """)
    return


@app.cell
def _(results):
    _gains = [
        (pooling.TITLES[name], plus_minus(pooling.gain(results, name).isel(n_train=0)))
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
    What do the three true poolings have in common that stride lacks? Say it in one sentence, then think of a sixth
    kind of layer that would tell whether you are right. (`flylab.models.convolutional.pooling_cnn` is short; write yours as
    in `own_model`.)

    ## More to try

    - `flylab.run("pooling", preset.value, out, train_sizes=(250, 500, 1000))`: is there a number of examples so
      small that pooling stops helping?
    - `data=flylab.MNIST1D(n_valid=0, max_translation=1)`: does pooling help where nothing is shifted?
    - The preset `paper` has six sizes, and tests the claim that pooling hinders with 50 000 examples.

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
