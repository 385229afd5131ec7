import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: tickets at scale")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import tickets_at_scale


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Do larger tickets learn that inputs have neighbours?

    A *lottery ticket* is a sparse network inside a trained one: prune the smallest weights, rewind the others to
    their initial values, train again, and so on (Frankle & Carbin 2019). The essay reports that the weights that
    survive on MNIST-1D read neighbouring positions. Here are longer signals, wider networks, and images, where
    neighbours lie in a plane.
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

    The essay ends with a guess: that tickets of larger networks learn spatial priors, too (Greydanus 2020). The first
    layer of a ticket is compared with random masks that keep the number of survivors of every unit *and* of every
    pixel. Pixels at the edges of images are empty, so survivors crowd in the middle: without that, every mask of
    images would seem local.

    ## Predict before you look

    How often are two survivors on neighbouring pixels of digits, relative to such masks? 1 is chance.
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(0.5, 4, 0.1, value=1, label="neighbouring survivors, relative to chance", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"""
    ## Run

    Preset **{preset.value}**: about {tickets_at_scale.STUDY.minutes[preset.value]:g} minutes on two cores the
    first time; after that, the results are loaded.
    """
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("tickets_at_scale", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess, results):
    notebook.folded(
        mo.md(f"**Neighbouring survivors.** {notebook.answer(results, 'clusters-digits', guess.value)}"),
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
    ## Reading the figure: two questions, two answers

    That a ticket is local does not make it good. The panel of accuracies has both: the ticket of the narrowest
    network, 92 % pruned, against the dense network that it was found in, and against random masks of the same
    survivors per unit and pixel. It can lose to the first and beat the second: then where the survivors lie is worth
    something, and pruning cost more. `results.search_accuracy` has tickets of wider networks and of other sparsities.

    ## An experiment: the same images with permuted pixels
    """)
    return


@app.cell
def _(results):
    _kept = tickets_at_scale.at("neighbours", "digits")(results)
    _permuted = tickets_at_scale.at("neighbours", "digits", arrangement="permuted")(results)
    mo.md(
        f"On digits, survivors are neighbours {plus_minus(_kept)} times as often as by chance. After their pixels were "
        f"permuted, which leaves an MLP all it can use, it is {plus_minus(_permuted)} times."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Real images: `flylab.run("tickets_at_scale", preset.value, out, dataset=("mnist",), data_dir=…)`.
    - `rewinds=(0, 200)`: from which step on do two children of a ticket stay connected by a line of low error?

    ## Further reading

    - J. Frankle, M. Carbin: *The lottery ticket hypothesis*, 2019 ([arXiv
      1803.03635](https://arxiv.org/abs/1803.03635)).
    - J. Frankle, G. Dziugaite, D. Roy, M. Carbin: *Linear mode connectivity and the lottery ticket hypothesis*, 2020
      ([arXiv 1912.05671](https://arxiv.org/abs/1912.05671)).
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
