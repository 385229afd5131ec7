import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: double descent")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import double_descent


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Double descent: when is a larger network worse?

    The textbook says: as a model grows, its test error first falls, and then rises, because the model begins to fit
    noise. Large networks ignore the textbook. They fit the whole training set, and still generalise. Belkin et al.
    (2019) joined the two pictures: test error falls, **rises** to a peak where the model can *just* fit the training
    set, and then **falls again**.

    MNIST-1D is small enough to measure that curve many times, each time on fresh data, and to draw it with error bars.
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

    The authors' notebook trains MLPs with 2 to 300 hidden units in each of two layers, after 15 % of the training
    labels were redrawn at random. Test error falls to 47 %, rises to 54 % at about 50 units, and falls to 45 %.
    Without label noise, there is no peak.

    ## Predict before you look
    """)
    return


@app.cell
def _():
    guess_width = mo.ui.slider(2, 300, value=150, label="hidden units at the peak of the test error", show_value=True)
    guess_width
    return (guess_width,)


@app.cell
def _():
    guess_height = mo.ui.slider(0, 30, value=2, label="height of the peak above the dip, in points", show_value=True)
    guess_height
    return (guess_height,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    A hint for the first question: a network can just fit 4000 examples if it has about as many parameters. How many
    parameters has a network 40-h-h-10?

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {double_descent.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("double_descent", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_height, guess_width, results):
    notebook.folded(
        mo.md(
            f"""
    - **Position of the peak.** {notebook.answer(results, "mlp-peak-place", guess_width.value)}
    - **Its height.** {notebook.answer(results, "mlp-peak", guess_height.value)}
    - **Width at which the training error reaches zero:**
      {plus_minus(double_descent.zero_width(results, "mlp-noise"))} hidden units.
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
    ## Reading the error bars: the winner's curse

    A peak is the *largest* of many noisy values, and a dip the *smallest*. If you roll ten dice and pick the highest,
    it looks like a die that rolls high. So "largest − smallest" is positive even for a flat curve, and it grows with
    the number of widths. The claims are therefore **cross-fitted**: peak and dip are *chosen* on one half of the
    seeds and *measured* on the other half. It makes a difference:
    """)
    return


@app.cell
def _(results):
    def naive_height(results):
        """For each seed, return the largest rise of its curve above an earlier minimum, chosen and measured alike."""
        curves = double_descent.curve(results, "mlp-noise").values
        return [max(float(curve[i] - curve[: i + 1].min()) for i in range(curve.size)) for curve in curves]

    _heights = double_descent.rise(results, "mlp-noise")
    mo.md(
        f"Height of the peak: **{plus_minus(naive_height(results))}** points naively, "
        f"**{plus_minus(_heights.peak - _heights.dip)}** cross-fitted."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: which network would you have chosen?

    In practice you do not know the test error. You have a validation set, and stop at the first dip, as the textbook
    says. What do you miss?
    """)
    return


@app.cell
def _(results):
    _curve = double_descent.curve(results, "mlp-noise").mean("seed")
    _dip = int(_curve.width[int(_curve.values[: max(1, _curve.values.argmax())].argmin())])
    mo.md(
        f"The dip before the peak is at **{_dip}** hidden units, with a mean test error of "
        f"{float(_curve.sel(width=_dip)):.1f} %. The widest network has {int(_curve.width[-1])} units and a mean test "
        f"error of {float(_curve.isel(width=-1)):.1f} %."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - `flylab.run("double_descent", preset.value, out, treatments=("mlp-clean",))` trains without label noise. Is there
      a peak? If not, why does noise make one?
    - Can *more* data make a network worse? Look at the panel *More data*, and add sizes by
      `sample_sizes=(700, 1000, 1400)`.
    - Test error against *steps* (right panel) may also descend twice. If you stop training early, does the peak over
      widths vanish?
    - The preset `paper` includes CNNs, more label noise, and merged classes for the threshold.

    ## Further reading

    - M. Belkin et al.: *Reconciling modern machine-learning practice and the classical bias–variance trade-off*,
      PNAS 2019 ([arXiv 1812.11118](https://arxiv.org/abs/1812.11118)).
    - P. Nakkiran et al.: *Deep double descent*, ICLR 2020 ([arXiv 1912.02292](https://arxiv.org/abs/1912.02292)).
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)).
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
