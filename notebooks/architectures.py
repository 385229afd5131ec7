import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: architectures")

with app.setup:
    import os

    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    import flylab
    from flylab.reporting import notebook
    from flylab.results.plots import style
    from flylab.results.statistics import plus_minus
    from flylab.studies import architectures


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # What is it worth to know that positions have neighbours?

    Shuffle the pixels of a photograph, and you see noise. An MLP does not mind: it does not know which inputs are
    neighbours, so it has nothing to lose. A CNN does assume something about neighbours. This assumption is its
    **spatial prior**. This notebook takes the neighbourhoods away, to measure what the prior is worth.

    Four networks learn MNIST-1D: logistic regression, an MLP, a CNN and a GRU (a recurrent network, which reads the
    signal position by position). Then each learns again from shuffled positions, with one permutation for all
    signals. No information is lost, but the neighbourhoods are.
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

    Greydanus & Kobak (ICML 2024, table 1) trained each network three times. They report test accuracies of 32 %
    (logistic regression), 68 % (MLP), 94 % (CNN) and 91 % (GRU). On shuffled positions the CNN falls to 56 %, and the
    MLP keeps its accuracy. From logistic regression to the CNN that is a spread of 62 points; on MNIST, says their
    essay, it is 5. A data set tells architectures apart only if it is hard in the right way.

    ## Predict before you look
    """)
    return


@app.cell
def _():
    guess_gap = mo.ui.slider(-20, 60, value=10, label="CNN − MLP on plain signals, in points", show_value=True)
    guess_gap
    return (guess_gap,)


@app.cell
def _():
    guess_cost = mo.ui.slider(-10, 60, value=10, label="points that shuffling costs the CNN", show_value=True)
    guess_cost
    return (guess_cost,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    And which network is better on shuffled signals, the MLP or the CNN? Write down your answer, with a reason.

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {architectures.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("architectures", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Lines are means over seeds, and bands their 95 % intervals. Hollow dots are accuracies on shuffled signals, and
    grey bars are the published accuracies.
    """)
    return


@app.cell(hide_code=True)
def _(guess_cost, guess_gap, results):
    notebook.folded(
        mo.md(
            f"""
    - **CNN − MLP.** {notebook.answer(results, "spatial-gap", guess_gap.value)}
    - **The cost of shuffling for the CNN.** {notebook.answer(results, "shuffle-cnn", guess_cost.value)}
    """
        ),
        title="Compare with your prediction",
    )
    return


@app.cell
def _(results):
    notebook.folded(notebook.table(results), title="Show the table")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The verdicts on the claims
    """)
    return


@app.cell
def _(results):
    notebook.folded(
        notebook.claims(
            results,
            "logistic",
            "mlp.paper",
            "mlp.nb",
            "cnn.paper",
            "gru.paper",
            "spatial-gap",
            "shuffle-cnn",
            "shuffle-gru",
            "shuffle-mlp",
            "shuffle-order",
            "interpolates-mlp",
        ),
        title="Show the verdicts",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    Look at the two claims on the MLP: one comes from the paper, the other from its authors' own notebooks. Their
    regions do not even overlap. With three runs each, that is hard to notice. See how far apart single seeds lie:
    """)
    return


@app.cell
def _(results):
    mlp_seeds = architectures.last(results, "mlp")
    mo.md(
        f"The MLP's test accuracy by seed: from {float(mlp_seeds.min()):.1f} to {float(mlp_seeds.max()):.1f} %. "
        f"Mean: {plus_minus(mlp_seeds)} % over {mlp_seeds.size} seeds."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    A difference is taken **seed by seed**. Compare the spread of the paired difference with the spread that you would
    get if the MLP's and the CNN's seeds were unrelated (variances add):
    """)
    return


@app.cell
def _(results):
    cnn, mlp = (architectures.last(results, name) for name in ("cnn", "mlp"))
    _paired = float((cnn - mlp).std("seed", ddof=1))
    _unrelated = float(np.hypot(cnn.std("seed", ddof=1), mlp.std("seed", ddof=1)))
    mo.md(
        f"Standard deviation of CNN − MLP over seeds: **{_paired:.2f}** points if paired, **{_unrelated:.2f}** if "
        "unrelated. On one fixed data set, two networks share little but the number of the seed, so pairing gains "
        "little here. It gains more where each seed has its own data, easy or hard for both (`pooling`, "
        "`double_descent`)."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: which classes are confused?

    The results contain every prediction. A row is a true class, a column a predicted class, in percent of the row.
    """)
    return


@app.cell
def _(results):
    def confusion(results, model):
        condition = {"dataset": "mnist1d", "model": model, "arrangement": "plain", "source": "published"}
        outcomes = results[["prediction", "label"]].sel(condition).transpose("seed", "example")
        label, prediction = (outcomes[name].values.astype(int).ravel() for name in ("label", "prediction"))
        is_example = label != 255  # 255 pads test sets that are smaller than the largest
        counts = np.zeros((10, 10))
        np.add.at(counts, (label[is_example], prediction[is_example]), 1)
        return 100 * counts / counts.sum(1, keepdims=True).clip(1)

    def confusions(results):
        with style():
            figure = Figure(figsize=(10, 4.6))
            axes = figure.subplots(1, 2)
            for ax, model in zip(axes, ("mlp", "cnn"), strict=True):
                picture = ax.imshow(confusion(results, model), vmin=0, vmax=100, cmap="Blues")
                ax.set(title=model.upper(), xlabel="predicted class", ylabel="true class")
                ax.set(xticks=range(10), yticks=range(10))
                ax.grid(False)
            figure.colorbar(picture, ax=axes, label="% of the true class")
        return figure

    notebook.figure(confusions(results), "confusion matrices of MLP and CNN")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Which pair of digits do both networks confuse? Draw the two templates with `building_mnist1d`, and explain why.
    Which confusions does only the MLP have?

    ## More to try

    - `flylab.run("architectures", preset.value, out, dataset=("mnist1d", "digits"))` also trains on scikit-learn's
      digits. Predict how far apart logistic regression and the CNN are there.
    - Reverse the positions instead of shuffling them: `flylab.MNIST1D(permutation=flylab.data.reversed_(40))` in the
      study `train`. Does that hurt the CNN?
    - In `quick`, all seeds share one data set. The preset `paper` also draws a new data set for each seed. Which
      intervals will become wider?

    ## Further reading

    - S. Greydanus, D. Kobak: *Scaling down deep learning with MNIST-1D*, ICML 2024 ([arXiv
      2011.14439](https://arxiv.org/abs/2011.14439)).
    - S. d'Ascoli et al.: *Finding the needle in the haystack with convolutions*, NeurIPS 2019 ([arXiv
      1906.06766](https://arxiv.org/abs/1906.06766)): from CNN to MLP and back.
    - X. Bouthillier et al.: *Accounting for variance in machine learning benchmarks*, MLSys 2021 ([arXiv
      2103.03098](https://arxiv.org/abs/2103.03098)).
    - Next: `continuum` places sixteen models between the MLP and the CNN.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
