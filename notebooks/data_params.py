import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: data_params")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.models import model_title
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import data_params


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # What makes data hard?

    Most data sets are given to us as they are. If you own the generator, every property of the data is a
    **parameter**. Then "why is this hard for an MLP?" becomes an experiment: change one data parameter, keep the
    others, and train again.

    The essay that introduced MNIST-1D (Greydanus 2020) wished for this: to vary noise, translation and resolution
    smoothly, and to see how networks respond. Here are the curves.
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
    ## Predict before you look

    By default, signals are translated by up to 47 of 72 points before they are resampled. Switch translation off, so
    that the digit is always at the same position. How much better than the MLP is the CNN then?
    """)
    return


@app.cell
def _():
    guess_without = mo.ui.slider(-20, 60, value=20, label="CNN − MLP without translation, in points", show_value=True)
    guess_without
    return (guess_without,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Which noise hurts a CNN more: *white* noise, which is independent at each position, or *smooth* noise, which looks
    like pieces of a digit? And which one hurts the MLP more?

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {data_params.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("data_params", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    The upper panels show test accuracy, the lower panels CNN − MLP. **Solid** lines: trained and tested at this value
    of the data parameter. **Dashed** lines: trained at the default value (dotted), and only tested at this value.
    """)
    return


@app.cell(hide_code=True)
def _(guess_without, results):
    default_gap = data_params.gap(results, "max_translation").sel(setting=48.0, method="nearest")
    notebook.folded(
        mo.md(
            f"""
    **Without translation.** {notebook.answer(results, "gap-without", guess_without.value)}

    With the default translation, the difference is {plus_minus(default_gap)} points.
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
    If your results agree with ours, the CNN's advantage is not that it knows what a digit looks like. Its advantage is
    that everything it learns about a digit at one position, it knows at all positions. If there is only one position,
    that is worth nothing.

    ## Reading the error bars

    These claims are about **slopes**. For each seed, a straight line is fitted to the accuracies at all values of the
    data parameter, and its slope is that seed's effect. This turns a whole curve into one number per seed, which has
    an interval. But a slope hides the shape of the curve. Look at the curves: where is a straight line a fair
    summary, and where is it not?

    ## An experiment: easier data, worse result

    Should a network that has learned translated signals not find untranslated ones easy? Test two kinds of networks on
    signals without translation: networks trained on such signals, and networks trained on the default data.
    """)
    return


@app.cell
def _(results):
    def without_translation(model):
        unshifted, default = (
            data_params.curve(results, "max_translation", model, variable).sel(setting=1.0)
            for variable in ("test_accuracy", "robust_accuracy")
        )
        return [model_title(model), plus_minus(unshifted), plus_minus(default), plus_minus(default - unshifted)]

    notebook.table(
        flylab.study.Table(
            "Test accuracy (%) on signals without translation",
            ("network", "trained without translation", "trained on the default data", "difference (points)"),
            [without_translation("mlp"), without_translation("cnn")],
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Think of an explanation, and of a test for it. (A hint: padding. At which positions do digits rarely begin in the
    default data? `flylab.published().train.x` has 4000 signals to look at.)

    ## More to try

    - `flylab.run("data_params", preset.value, out, data_params=("shear_scale",), models=("mlp", "gru"))` runs any
      data parameters with any networks.
    - To vary two data parameters at once, write a *sweep*: see `flylab sweep --help`.
    - Find one configuration that makes the data as hard as possible for the CNN, and as easy as possible for the MLP.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020: the
      essay.
    - D. Hendrycks, T. Dietterich: *Benchmarking neural network robustness to common corruptions*, ICLR 2019 ([arXiv
      1903.12261](https://arxiv.org/abs/1903.12261)): the same kind of experiment at the size of ImageNet.
    - Next: `metalearning_the_data` optimises the data parameters by gradient descent.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
