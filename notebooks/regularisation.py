import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: regularisation")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.effects import final
    from flylab.studies import regularisation


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Which data set tells regularisers apart?

    Weight decay, dropout, batch normalisation, label smoothing, mixup, early stopping, shifted examples: which one
    helps, and how much? An experiment that cannot tell them apart is wasted, however large it is. So this notebook
    compares *data sets* by how well they tell regularisers apart.
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
    ## What was guessed

    On MNIST it is "hard to judge the relative effectiveness of different regularization schemes" (Greydanus 2020): all
    networks are good. Here each regulariser trains the same MLP, with strength and learning rate tuned by equally many
    trials on validation data. The differences between regularisers are measured in standard errors. More seeds make
    standard errors smaller, and on a small data set the same computing buys more seeds.

    ## Predict before you look

    For the same computing, how many times do differences double, in standard errors, from scikit-learn's digits to
    MNIST-1D? 0 is equal; below 0, digits are clearer.
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(-3, 5, 0.25, value=1, label="doublings", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"""
    ## Run

    Preset **{preset.value}**: about {regularisation.STUDY.minutes[preset.value]:g} minutes on two cores the
    first time; after that, the results are loaded.
    """
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("regularisation", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _(guess, results):
    mo.md(f"**Doublings.** {notebook.answer(results, 'discriminates-regularisers.digits', guess.value)}")
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
    ## Reading an F statistic

    Two things make accuracies differ: the regulariser, and all that a seed decides. The F statistic is the variance of
    the first over that of the second, for the mean of all seeds. It is about 1 where regularisers do not differ at all,
    and its square root is the size of differences in standard errors. What makes a seed's data easy or hard for all
    regularisers alike does not count: all of them see the same data.

    ## An experiment: without the strongest difference

    A single regulariser may carry the whole answer. What remains without batch normalisation and shifted examples?
    """)
    return


@app.cell
def _(results):
    _accuracy = final(results.test_accuracy).astype(float)
    _strong = [name for name in ("batch_norm", "augmentation") if name in results.regulariser]
    _rest = _accuracy.drop_sel(regulariser=_strong)
    mo.md(
        "\n".join(
            f"- {name}: F = {float(regularisation.f_statistic(_accuracy.sel(dataset=name))):.1f} with all, "
            f"{float(regularisation.f_statistic(_rest.sel(dataset=name))):.1f} without them"
            for name in results.dataset.values
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - MNIST: `flylab.run("regularisation", preset.value, out, dataset=("digits", "mnist"), data_dir=…)`.
    - `n_steps=500`: regularisers have less to do where a network sees each example less often.
    - `data=flylab.MNIST1D(n_train=500)`: and more to do where there are few.
    - A penalty of your own on the weights competes in another study: `flylab run regularisers --help`.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    - X. Bouthillier and others: *Accounting for variance in machine learning benchmarks*, 2021 ([arXiv
      2103.03098](https://arxiv.org/abs/2103.03098)).
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
