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

    The MLP supposes nothing about positions; the CNN supposes that neighbours belong together, and that all places
    are alike. "Models with more moderate spatial priors would sit somewhere along the continuum between the MLP and
    CNN benchmarks", wrote Greydanus (2020). Do they? Where are attention, recurrent networks, MLP-Mixers, random
    forests?
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
    ## A ruler

    Shuffle the positions, by one permutation for all signals, and train again. What a model loses is what it had
    supposed about positions. On this ruler, put the MLP at 0 and the CNN at 1:

    score = (cost of the model − cost of the MLP) / (cost of the CNN − cost of the MLP),

    where *cost* is plain − shuffled test accuracy.

    ## Predict before you look

    A **locally connected** network is a CNN that may use other weights in every place: it knows about neighbours,
    but not that all places are alike. **Attention without positions** sees a *set* of pieces.
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
        f"Preset **{preset.value}**: about {continuum.STUDY.minutes[preset.value]:g} minutes on two cores, "
        "the first time."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("continuum", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _(guess_bag, guess_forest, guess_local, results):
    mo.md(
        f"""
    - **Locally connected.** {notebook.answer(results, "moderate-local", guess_local.value)}
    - **Random forest.** {notebook.answer(results, "none-forest", guess_forest.value)}
    - **Attention without positions.** {notebook.answer(results, "equivariant-bag", guess_bag.value)}
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
    ## Reading the error bars

    The score is a **ratio** of differences, all on the same seeds. MLP and CNN have no error bar: they are 0 and 1
    by definition in every seed, so that *their* noise is in everybody else's bar. And where the two ends come close
    to each other, a ratio explodes: below 5 points between them there is no score at all.

    Read the score beside the accuracy. **Who has nothing, loses nothing**: logistic regression scores 0 by having
    no prior, an untrained network by having no accuracy.

    ## An experiment: what does accuracy cost?

    Accuracy against the operations of one forward pass. This figure shows the run that comes with flylab (preset
    `quick`); take `results` instead for yours.
    """)
    return


@app.cell
def _():
    def costs(results):
        with style():
            drawn = Figure(figsize=(8, 4.2))
            ax = drawn.subplots()
            rows = [
                row for row in continuum.rows(results) if row.flops and row.model != "logistic"
            ]  # far from all others
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
        return drawn

    notebook.figure(
        costs(continuum.load_reference()), "test accuracy against operations per example, coloured by score"
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Your own model on this ruler: the notebook `own_model`.
    - `flylab.run("continuum", preset.value, out, train_sizes=(500, 1000, 2000))`: with fewer examples, does a prior
      matter more?
    - Can a score be *negative*? What would such a model suppose? Build one.
    - Devise a model that loses nothing by shuffling and yet supposes very much. (Hint: sort.)

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
