import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: continuum")

with app.setup:
    import os

    import marimo as mo
    from matplotlib.figure import Figure

    import flylab
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, style
    from flylab.studies import continuum


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # The continuum of spatial priors

    The MLP assumes nothing about positions. The CNN assumes that neighbours belong together, and that all positions
    are alike. "Models with more moderate spatial priors would sit somewhere along the continuum between the MLP and
    CNN benchmarks", wrote Greydanus (2020). Do they? And where on it are attention, recurrent networks, MLP-Mixers
    and random forests?
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
    ## A ruler

    Shuffle the positions, with one permutation for all signals, and train again. The accuracy that a model loses
    measures what it assumed about positions. Put the MLP at 0 and the CNN at 1 of this ruler:

    score = (cost of the model − cost of the MLP) / (cost of the CNN − cost of the MLP),

    where *cost* is the test accuracy on plain signals less that on shuffled ones.

    ## Predict before you look

    A **locally connected** network is a CNN with different weights at every position. It assumes that neighbours
    belong together, but not that all positions are alike. **Attention without positions** sees the signal as a *set*
    of pieces.
    """)
    return


@app.cell
def _():
    guess_local = mo.ui.slider(-0.5, 1.5, step=0.05, value=0.9, label="score: locally connected", show_value=True)
    guess_local
    return (guess_local,)


@app.cell
def _():
    guess_forest = mo.ui.slider(-0.5, 1.5, step=0.05, value=0.3, label="score: random forest", show_value=True)
    guess_forest
    return (guess_forest,)


@app.cell
def _():
    guess_bag = mo.ui.slider(
        -0.5, 1.5, step=0.05, value=0.0, label="score: attention without positions", show_value=True
    )
    guess_bag
    return (guess_bag,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {continuum.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("continuum", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_bag, guess_forest, guess_local, results):
    notebook.folded(
        mo.md(
            f"""
    - **Locally connected.** {notebook.answer(results, "moderate-local", guess_local.value)}
    - **Random forest.** {notebook.answer(results, "none-forest", guess_forest.value)}
    - **Attention without positions.** {notebook.answer(results, "equivariant-bag", guess_bag.value)}
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
    ## Reading the error bars

    The score is a **ratio** of differences, all on the same seeds. MLP and CNN have no error bars, because their
    scores are 0 and 1 in every seed by definition. *Their* noise is part of all other error bars. A ratio also
    explodes where its denominator is small: if the costs of CNN and MLP differ by less than 5 points, there is no
    score.

    Always read the score beside the accuracy. **A model that has nothing can lose nothing**: logistic regression
    scores 0 because it has no prior, and an untrained network because it has no accuracy.

    ## An experiment: what does accuracy cost?

    Accuracy against the operations of one forward pass. This figure shows the run that comes with flylab (preset
    `quick`); take `results` instead for yours.
    """)
    return


@app.cell
def _():
    def costs(results):
        with style():
            figure = Figure(figsize=(8, 4.2))
            ax = figure.subplots()
            # logistic regression needs so few operations that it would stretch the axis
            rows = [row for row in continuum.rows(results) if row.flops and row.model != "logistic"]
            rows = sorted(rows, key=lambda row: row.flops)
            for row, right in zip(rows, [row.flops for row in rows[1:]] + [float("inf")], strict=True):
                prior = row.score.mean if row.score else 0.0
                reach = [[row.plain.mean - row.plain.low], [row.plain.high - row.plain.mean]]
                colour = COLOURS[1] if prior > 0.3 else COLOURS[0]
                ax.errorbar(row.flops, row.plain.mean, reach, fmt="o", color=colour, capsize=3)
                side = ((-8, -3), "right") if right < 1.25 * row.flops else ((8, -3), "left")  # away from the neighbour
                ax.annotate(
                    row.title, (row.flops, row.plain.mean), side[0], textcoords="offset points", ha=side[1], fontsize=8
                )
            for colour, label in ((COLOURS[1], "score above 0.3"), (COLOURS[0], "below")):
                ax.plot([], [], "o", color=colour, label=label)
            ax.set(
                xscale="log",
                xlim=(1.5e4, 3.5e5),
                xlabel="operations of a forward pass (FLOP per example)",
                ylabel="test accuracy (%)",
            )
            ax.set_xticks([2e4, 5e4, 1e5, 2e5], ["20 000", "50 000", "100 000", "200 000"])
            ax.minorticks_off()
            ax.set_title("Accuracy and operations")
            ax.legend(loc="lower right")
        return figure

    notebook.figure(
        costs(continuum.load_reference()), "test accuracy against operations per example, coloured by score"
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Place your own model on this ruler with the notebook `own_model`.
    - `flylab.run("continuum", preset.value, out, train_sizes=(500, 1000, 2000))`: does a prior matter more with fewer
      examples?
    - Can a score be *negative*? What would such a model assume? Build one.
    - Invent a model that loses nothing by shuffling and yet assumes a lot. (Hint: sort.)

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    - I. Tolstikhin et al.: *MLP-Mixer*, NeurIPS 2021 ([arXiv 2105.01601](https://arxiv.org/abs/2105.01601)).
    - S. d'Ascoli et al.: *Finding the needle in the haystack with convolutions*, NeurIPS 2019 ([arXiv
      1906.06766](https://arxiv.org/abs/1906.06766)).
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
