import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: activation at scale")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import activation_at_scale


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Do activations that are learned on larger networks serve better?

    In the notebook `activation`, gradient descent through whole trainings found an activation function for a network
    of one hidden layer. Here functions are learned on a deep MLP and on a CNN, and each is tried in the other.
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

    The essay found that a function learned for low *early* training loss has a middle rank by *final* test loss
    elsewhere, and suspects that learning it on larger networks would refine it (Greydanus 2020). There is another
    suspect: the goal. So functions are also learned for final loss.

    ## Predict before you look

    There are nine functions, and rank 1 is the best. How many places does a function gain in the deep MLP, by final
    test loss, if it is learned there and not on the small network?
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(-8, 8, 1, value=2, label="places gained by final test loss", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"""
    ## Run

    Preset **{preset.value}**: about {activation_at_scale.STUDY.minutes[preset.value]:g} minutes on two cores the
    first time; after that, the results are loaded.
    """
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("activation_at_scale", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess, results):
    notebook.folded(
        mo.md(f"**Larger networks.** {notebook.answer(results, 'larger-refines.mlp', guess.value)}"),
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
    ## Reading the ranks

    A rank has no unit: a place may be worth a hundredth of a nat or a whole one. And all functions train at one
    learning rate, at which the learned ones were found. That favours them; the study `activation` gives each usual
    function its own best rate.

    ## An experiment: the goal
    """)
    return


@app.cell
def _(results):
    _ranks = {name: activation_at_scale.rank(results, f"mlp.{name}", "mlp", "test_loss") for name in ("early", "final")}
    mo.md(
        f"Among nine by final test loss, functions learned on the deep MLP for early training loss rank "
        f"{plus_minus(_ranks['early'])}; those learned for final loss rank {plus_minus(_ranks['final'])}."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - `goals=("early", "final", "evolved")`: by evolution strategies, through whole trainings (`pip install
      "flylab[evolution]"`).
    - `dataset=("mnist1d", "mnist"), data_dir=…`: a CNN of MNIST as well.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    - L. Metz and others: *Understanding and correcting pathologies in the training of learned optimizers*, 2019
      ([arXiv 1810.10180](https://arxiv.org/abs/1810.10180)): why long unrolls explode, and what evolution strategies
      do about it.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
