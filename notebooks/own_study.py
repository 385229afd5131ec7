import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: own study")

with app.setup:
    import os
    from dataclasses import dataclass
    from pathlib import Path

    import marimo as mo

    import flylab
    from flylab import Claim, Plan, Study, Training
    from flylab.reporting import notebook
    from flylab.results.effects import Effect
    from flylab.results.judging import judge
    from flylab.results.plots import panels, points, style
    from flylab.results.tables import over_seeds, pivot
    from flylab.runs.runner import execute
    from flylab.study import BaseProtocol, protocol_of


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Your own study: a question, a claim, and an answer that may disagree

    A study is a question and all that is needed to answer it: a **protocol** (the settings), **conditions** (what is
    compared), **training** (describes the networks of one condition), **claims** (what you expect, as a region for an
    effect), a table and a figure. Write the claims first. Then you cannot move the goalposts.

    The question here: *do small batches teach more?* If all networks see the same number of examples, is it better to
    learn from 20 at a time, or from 500? Folklore says that small batches are better, because their noise helps to
    generalise. To be fair, each batch size gets its own best learning rate.
    """)
    return


@app.cell
def _():
    preset = mo.ui.dropdown(["smoke", "quick", "paper"], os.environ.get("FLYLAB_PRESET", "quick"), label="preset")
    out = Path("runs")
    preset
    return out, preset


@app.cell
def _():
    guess = mo.ui.slider(
        -10, 20, value=3, label="batches of 20 − batches of 500, points of test accuracy", show_value=True
    )
    guess
    return (guess,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Protocol

    The protocol is a frozen dataclass. Each field becomes an option on the command line, and its docstring the
    option's help.
    """)
    return


@app.class_definition
@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The MLP on the published data, with batches of several sizes."""

    batch_sizes: tuple[int, ...] = (20, 100, 500)
    """Examples per step."""
    n_examples: int = 100_000
    """Examples seen in training, the same for every batch size."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    """Learning rates of Adam; each batch size gets its best one by validation accuracy."""


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Conditions and training

    A setting that changes the *shape* of the computation makes a condition: each batch size is a compiled program of
    its own. Settings that do not, like learning rates and seeds, are axes of the population. `training` says what is
    trained; the number of steps and the cost follow. `run` keeps only the accuracies after the last step.
    """)
    return


@app.cell
def _():
    def conditions(protocol):
        return [{"batch_size": size} for size in protocol.batch_sizes]

    def training(protocol, batch_size):
        n_steps = protocol.n_examples // batch_size
        plan = Plan(n_steps, batch_size, eval_every=n_steps)
        return Training(flylab.get_model("mlp"), flylab.MNIST1D(), plan, {"learning_rate": protocol.rates})

    def run(protocol, condition, context):
        results = context.train(training(protocol, **condition)).results
        return results[["valid_accuracy", "test_accuracy"]].isel(step=-1, drop=True)

    return conditions, run, training


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Claims

    An effect turns results into **one value per seed**, here a paired difference. The region says where the mean effect
    should lie. The second claim is one of *equivalence*: it needs a margin, and a wide interval cannot support it.
    """)
    return


@app.cell
def _():
    def accuracy(batch_size):
        """Make the effect: the test accuracy of each seed, at the learning rate with the best validation accuracy."""

        def of_best_rate(results):
            condition = results.sel(batch_size=batch_size)
            best_rate = condition.valid_accuracy.mean("seed").idxmax("learning_rate")
            return condition.test_accuracy.sel(learning_rate=best_rate)

        return Effect(of_best_rate, {"batch_size": batch_size})

    CLAIMS = (
        Claim(
            "small-better",
            "batches of 20 beat batches of 500 by at least 1 point",
            "here",
            "–",
            "points",
            accuracy(20) - accuracy(500),
            above=1,
        ),
        Claim(
            "middle-equal",
            "batches of 20 and of 100 differ by less than 1 point",
            "here",
            "–",
            "points",
            accuracy(20) - accuracy(100),
            within=(-1, 1),
        ),
    )
    return (CLAIMS,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Table and figure

    Table and figure read only the results, so you can change them without training again.
    """)
    return


@app.cell
def _(CLAIMS, conditions, run, training):
    def table(results):
        columns = {
            f"rate {rate:g}": results.test_accuracy.sel(learning_rate=rate) for rate in results.learning_rate.values
        }
        return pivot(over_seeds(results, "Test accuracy (%)"), columns, "batch_size", corner="batch size")

    @style()
    def figure(results):
        drawn, (ax,) = panels("The same number of examples seen", size=(7, 3.8))
        points(ax, results.test_accuracy, x="learning_rate", hue="batch_size")
        ax.legend(title="batch size")
        return drawn

    QUESTION = "Given the same number of training examples, do small batches teach more?"
    PRESETS = {
        "smoke": Protocol(n_seeds=2, n_examples=2000, rates=(1e-3, 1e-2)),
        "quick": Protocol(n_seeds=8),
        "paper": Protocol(n_seeds=30, n_examples=600_000),
    }
    parts = {
        "QUESTION": QUESTION, "PRESETS": PRESETS, "CLAIMS": CLAIMS, "conditions": conditions, "training": training,
        "run": run, "table": table, "figure": figure,
    }  # fmt: skip
    STUDY = Study.of(parts, name="batch_size")
    return STUDY, figure, table


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run

    `force=True` trains every time, because in a notebook flylab cannot know what a cell's code depends on. In a package
    (see the end), the study's results are stored and loaded again, and an interrupted run resumes.
    """)
    return


@app.cell
def _(STUDY, figure, out, preset):
    results = execute(STUDY, preset.value, protocol_of(STUDY, preset.value), out, force=True).results
    notebook.figure(figure(results), "test accuracy against learning rate, for three batch sizes")
    return (results,)


@app.cell
def _(results, table):
    notebook.table(table(results))
    return


@app.cell
def _(STUDY, results):
    verdicts = judge(STUDY.claims, results, {name: STUDY.conditions(preset) for name, preset in STUDY.presets.items()})
    notebook.folded(notebook.claims(verdicts), title="Show the verdicts")
    return (verdicts,)


@app.cell(hide_code=True)
def _(guess, verdicts):
    notebook.folded(mo.md(notebook.answer(verdicts, "small-better", guess.value)), title="Compare with your prediction")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    Suppose that you had compared the batch sizes at a single learning rate, the common 0.01. Would the verdict be the
    same? The figure tells. Such a choice often decides whether "A is better than B", and no error bar shows it. That
    is why the choice of the rate is part of the claim's effect. It is made on the validation set: on the test set, the
    method with more rates to choose from would win.

    ## More to try

    - A referee says: "Small batches take more *time*." Add a claim for an equal number of *steps*.
    - `Protocol(batch_sizes=(5, 20, 100, 500, 2000))`: is there an optimum?
    - Use `flylab.endless()` in place of `flylab.published()`. With nothing to memorise, does noise still help?

    ## Make it a package

    Copy the code above into a file `batch_size.py`, end it with `STUDY = Study.of_module(__name__)`, and
    add a `pyproject.toml` with

    ```toml
    [project.entry-points."flylab.studies"]
    batch_size = "batch_size"
    ```

    After `pip install .`, `flylab list` shows your study, `flylab run batch-size` runs it, and `flylab claims` and
    `flylab report` treat it like any other. The docs page *your study* has a complete example.

    ## Further reading

    - N. Keskar et al.: *On large-batch training for deep learning*, ICLR 2017 ([arXiv
      1609.04836](https://arxiv.org/abs/1609.04836)).
    - C. Shallue et al.: *Measuring the effects of data parallelism on neural network training*, JMLR 2019 ([arXiv
      1811.03600](https://arxiv.org/abs/1811.03600)): what remains of the effect once everything is tuned.
    """)
    return


@app.cell(hide_code=True)
def _(verdicts):
    if mo.app_meta().mode == "script":
        print(notebook.claims(verdicts))
    return


if __name__ == "__main__":
    app.run()
