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

    A textbook curve: as a model grows, its test error falls, and then rises, for it begins to fit the noise. Large
    networks ignore the textbook: they fit everything and generalise. Belkin et al. (2019) joined the two pictures
    into one. Test error falls, **rises** to a peak where the model can *just* fit the training set, and then
    **falls again**.

    MNIST-1D is small enough to draw that curve with error bars, again and again, on fresh data.
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

    The authors' notebook trains MLPs of 2 to 300 hidden units (in each of two layers) with 15 % of the labels
    redrawn at random. Test error falls to 47 %, climbs to 54 % at about 50 units, and sinks to 45 %. Without label
    noise there is no peak.

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
    A hint for the first: 4000 examples can just be fitted by a network with about as many parameters. A network
    40-h-h-10 has how many?

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {double_descent.STUDY.minutes[preset.value]:g} minutes on two cores, "
        "the first time."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("double_descent", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _(guess_height, guess_width, results):
    mo.md(
        f"""
    - **Place of the peak.** {notebook.answer(results, "mlp-peak-place", guess_width.value)}
    - **Its height.** {notebook.answer(results, "mlp-peak", guess_height.value)}
    - **Where training error vanishes:** {plus_minus(double_descent.zero_width(results, "mlp-noise"))} hidden units.
    """
    )
    return


@app.cell
def _(results):
    notebook.table(results)
    return


@app.cell
def _(results):
    notebook.claims(results)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars: the winner's curse

    A peak is the *greatest* of many noisy values, a dip the *least*. Choose the highest of ten dice, and it looks
    like a die that rolls high. So "greatest − least" is positive even for a flat curve, and the more widths, the
    more so. The claims are therefore **cross-fitted**: peak and dip are *chosen* on one half of the seeds and
    *measured* on the other. Here is the difference:
    """)
    return


@app.cell
def _(results):
    def naive_height(results):
        """Of each seed's own curve, the greatest value less the least before it: chosen and measured on the same."""
        curve = double_descent.curve(results, "mlp-noise")
        return [max(float(one[i] - one[: i + 1].min()) for i in range(one.size)) for one in curve.values]

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

    You do not know the test error; you have a validation set, and stop at the first dip like the textbook says.
    What do you miss?
    """)
    return


@app.cell
def _(results):
    _curve = double_descent.curve(results, "mlp-noise").mean("seed")
    _dip = int(_curve.width[int(_curve.values[: max(1, _curve.values.argmax())].argmin())])
    mo.md(
        f"The dip before the peak lies at **{_dip}** hidden units, with a mean test error of "
        f"{float(_curve.sel(width=_dip)):.1f} %. The widest network, of {int(_curve.width[-1])} units, has "
        f"{float(_curve.isel(width=-1)):.1f} %."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - `flylab.run("double_descent", preset.value, out, treatments=("mlp-clean",))`: no label noise. Is there a peak? Then
      why does noise make one?
    - `sample_sizes=(1000, 8000)`: where is the peak with fewer examples? Can *more* data make a network worse?
    - Test error against *steps* (right panel) may have two descents, too. Stop early: does the peak over widths
      vanish?
    - The preset `paper` has CNNs as well. In the terminal: `flylab run double-descent --preset threshold` asks
      where the threshold is, as a power law.

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
