import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: a petri dish")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import petri_dish


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # How small can a data set be that tells good networks from bad ones?

    A biologist does not test a molecule in a whole body first, but in a dish. Can twenty made-up examples, on which a
    network trains for ten steps, tell which architectures are good on MNIST-1D (Rawal and others, 2020)?
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
    ## How a dish is learned

    It begins as twenty real examples for training and twenty for validation. A few architectures are trained on it, and
    their scores compared with their accuracies on MNIST-1D. Inputs and labels then follow the gradient of the
    disagreement, through the whole short training. At last the dish ranks architectures that it has never seen.

    ## Predict before you look

    Kendall's τ is 1 for the same order, 0 for an unrelated one. How much higher is a dish's τ than that of the real
    examples at which it began, at equal cost?
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(-0.5, 1, 0.05, value=0.2, label="τ gained by learning the examples", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"""
    ## Run

    Preset **{preset.value}**: about {petri_dish.STUDY.minutes[preset.value]:g} minutes on two cores the
    first time; after that, the results are loaded.
    """
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("petri_dish", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _(guess, results):
    mo.md(f"**Dish and subset.** {notebook.answer(results, 'dish-beats-subset.mnist1d', guess.value)}")
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
    ## Reading τ

    Large networks are often better than small ones. The number of parameters, which costs nothing, is therefore a
    predictor that a dish must beat, and so is training on all data that is stopped early.

    ## An experiment: what does a dish cost to replace?
    """)
    return


@app.cell
def _(results):
    mo.md(
        "To rank as well as a dish, training on all data needs 2 to the power of "
        f"{plus_minus(petri_dish.saved('mnist1d')(results))} times the operations."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - `n_outer_steps=200`: a dish that is learned for longer.
    - `dataset=("mnist",), data_dir=…`: dishes for MNIST, and MNIST-1D as one.

    ## Further reading

    - A. Rawal, J. Lehman, F. P. Such, J. Clune, K. O. Stanley: *Synthetic Petri Dish: a novel surrogate model for rapid
      architecture search*, 2020 ([arXiv 2005.13092](https://arxiv.org/abs/2005.13092)).
    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
