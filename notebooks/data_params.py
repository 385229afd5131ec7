import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: data_params")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import data_params


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # What makes data hard?

    A data set is a fact of nature, until you own its generator. Then every property is a **data_param**, and "why is this
    hard for an MLP?" becomes an experiment: turn one data_param, leave the others, train again.

    When MNIST-1D was published as an essay (Greydanus 2020), this was the wish: to vary noise, translation and
    resolution smoothly, and watch what networks make of it. Here are the curves.
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
    ## Predict before you look

    The usual signals are shifted by up to 47 of 72 points before they are resampled. Switch translation off, so
    that a digit always stands in the same place. How much better than the MLP is the CNN then?
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
    Which noise hurts a CNN more: *white* noise, independent from position to position, or *smooth* noise, which
    looks like pieces of a digit? And the MLP?

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {data_params.STUDY.minutes[preset.value]:g} minutes on two cores, the first time."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("data_params", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Above, test accuracy; below, CNN − MLP. **Solid**: trained and tested at this value of the data_param. **Dashed**:
    trained at the usual value (dotted line), and only tested at this one.
    """)
    return


@app.cell(hide_code=True)
def _(guess_without, results):
    usual_gap = data_params.gap(results, "max_translation").sel(setting=48.0, method="nearest")
    mo.md(
        f"""
    **Without translation.** {notebook.answer(results, "gap-without", guess_without.value)}

    With the usual translation the difference is
    {plus_minus(usual_gap)} points.
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
    If `quick` says of your machine what it said of ours, the CNN's advantage is not that it knows what a digit
    looks like. It is that what it learns about a digit in one place it knows in all places, and where there is only
    one place, that is worth nothing.

    ## Reading the error bars

    These claims are about **slopes**: for each seed, a straight line is laid through its accuracies at all values
    of the data_param, and the slope is that seed's effect. One number per seed makes an interval of something that is a
    whole curve. What a slope hides is shape. Look at the curves: where is "a straight line" a fair summary, and
    where not?

    ## An experiment: easier data, worse result

    Shouldn't a network that learned shifted signals find centred ones easy? Compare, without translation, networks
    that were trained there with networks of the usual data:
    """)
    return


@app.cell
def _(results):
    def at_home(model):
        there = {
            name: data_params.curve(results, "max_translation", model, variable).sel(setting=1.0)
            for name, variable in (("trained there", "test_accuracy"), ("of the usual data", "robust_accuracy"))
        }
        difference = there["of the usual data"] - there["trained there"]
        return [data_params.TITLES[model], *map(plus_minus, there.values()), plus_minus(difference)]

    notebook.table(
        flylab.study.Table(
            "Test accuracy (%) on signals without translation",
            ("network", "trained there", "of the usual data", "difference (points)"),
            [at_home("mlp"), at_home("cnn")],
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Think of an explanation and a test for it. (A hint: padding. Where in the usual signals do digits rarely begin?
    `flylab.published().train.x` has 4000 to look at.)

    ## More to try

    - `flylab.run("data_params", preset.value, out, data_params=("shear_scale",), models=("mlp", "gru"))`: any data parameters, any
      networks.
    - Two data_params at once are a *sweep*: see `flylab sweep --help`.
    - Make the data as hard as you can for the CNN, and as easy as you can for the MLP, with one config.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020: the
      essay.
    - D. Hendrycks, T. Dietterich: *Benchmarking neural network robustness to common corruptions*, ICLR 2019 ([arXiv
      1903.12261](https://arxiv.org/abs/1903.12261)): data_params at the size of ImageNet.
    - Next: `metalearning_the_data` turns the data parameters by gradient descent.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
