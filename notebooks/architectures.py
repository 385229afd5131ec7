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

    A photograph with its pixels shuffled is noise to you. To an MLP it is as good as the photograph: an MLP has no
    idea which inputs are neighbours, so it has nothing to lose. A CNN does have an idea, its **spatial prior**.
    This notebook measures what the idea is worth, by taking it away.

    Four networks learn MNIST-1D: logistic regression, an MLP, a CNN and a GRU (a recurrent network, which reads the
    signal position by position). Then all learn again, with the positions shuffled by one permutation for all
    signals. Not a bit of information is lost. What is lost is the neighbourhood.
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

    Greydanus & Kobak (ICML 2024, table 1) trained each network three times and report test accuracies of 32 %
    (logistic regression), 68 % (MLP), 94 % (CNN) and 91 % (GRU); shuffled, the CNN falls to 56 %, and the MLP stays
    where it was. From logistic regression to CNN that is a spread of 62 points; on MNIST, their essay says, it is
    5. A data set tells architectures apart only if it is hard in the right way.

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
    And who is better on shuffled signals, the MLP or the CNN? (Write it down, with a reason.)

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {architectures.STUDY.minutes[preset.value]:g} minutes on two cores, "
        "the first time."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("architectures", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Lines are means over seeds, bands their 95 % intervals. Hollow dots are shuffled, grey bars what was published.
    """)
    return


@app.cell(hide_code=True)
def _(guess_cost, guess_gap, results):
    mo.md(
        f"""
    - **CNN − MLP.** {notebook.answer(results, "spatial-gap", guess_gap.value)}
    - **What shuffling costs the CNN.** {notebook.answer(results, "shuffle-cnn", guess_cost.value)}
    """
    )
    return


@app.cell
def _(results):
    notebook.table(results)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What became of the claims
    """)
    return


@app.cell
def _(results):
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
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    Look at the two claims on the MLP, the paper's and that of its authors' own notebooks. Their regions do not even
    overlap. With three runs each, that is hard to notice: look how far single seeds lie apart.
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
    A difference is taken **seed by seed**. Compare the interval of the paired difference with what you would get if
    the MLP's and the CNN's seeds were unrelated (variances add):
    """)
    return


@app.cell
def _(results):
    cnn, mlp = (architectures.last(results, name) for name in ("cnn", "mlp"))
    _paired = float((cnn - mlp).std("seed", ddof=1))
    _unrelated = float(np.hypot(cnn.std("seed", ddof=1), mlp.std("seed", ddof=1)))
    mo.md(
        f"Spread of CNN − MLP from seed to seed: **{_paired:.2f}** points paired, **{_unrelated:.2f}** if unrelated. "
        "On one fixed data set two networks share little but the seed's number, so pairing can gain little here. "
        "It gains where each seed has its own data, easy or hard for both alike (`pooling`, `double_descent`)."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: who confuses what?

    The results hold every prediction. Row: the true class; column: what the network said, in percent of the row.
    """)
    return


@app.cell
def _(results):
    def confusion(results, model):
        place = {"dataset": "mnist1d", "model": model, "arrangement": "plain", "source": "published"}
        found = results[["prediction", "label"]].sel(place).transpose("seed", "example")
        label, prediction = (found[name].values.astype(int).ravel() for name in ("label", "prediction"))
        there = label != 255  # fills up where data sets have more examples
        counts = np.zeros((10, 10))
        np.add.at(counts, (label[there], prediction[there]), 1)
        return 100 * counts / counts.sum(1, keepdims=True).clip(1)

    def confusions(results):
        with style():
            drawn = Figure(figsize=(10, 4.6))
            axes = drawn.subplots(1, 2)
            for ax, model in zip(axes, ("mlp", "cnn"), strict=True):
                picture = ax.imshow(confusion(results, model), vmin=0, vmax=100, cmap="Blues")
                ax.set(title=model.upper(), xlabel="predicted class", ylabel="true class")
                ax.set(xticks=range(10), yticks=range(10))
                ax.grid(False)
            drawn.colorbar(picture, ax=axes, label="% of the true class")
        return drawn

    notebook.figure(confusions(results), "confusion matrices of MLP and CNN")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Which pair of digits do both confuse? Go to `building_mnist1d`, draw the two templates, and explain it. Which
    confusions does only the MLP have?

    ## More to try

    - `flylab.run("architectures", preset.value, out, dataset=("mnist1d", "digits"))` trains on scikit-learn's
      digits, too. Predict how far apart logistic regression and CNN are there.
    - Reverse the positions instead of shuffling them (`flylab.MNIST1D(permutation=flylab.data.reversed_(40))` in
      the study `train`). Should the CNN mind?
    - In `quick` all seeds share one data set. The preset `paper` also draws a new data set for each seed. Which
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
