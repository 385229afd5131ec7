import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: own study")

with app.setup:
    import os
    from dataclasses import dataclass
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    import flylab
    from flylab import Claim, Plan, Study, train_members
    from flylab.models import dense
    from flylab.reporting import notebook
    from flylab.results.claims import judge
    from flylab.results.plots import COLOURS, style
    from flylab.results.statistics import interval, plus_minus
    from flylab.runs.runner import execute
    from flylab.study.protocol import BaseProtocol
    from flylab.study.study import Table, protocol_of


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Your own study: a question, a claim, and an answer that can disagree

    A study is a question with everything that it takes to answer it: a **protocol** (what can be changed),
    **cells** (what has to be compared), **run** (train one cell), **claims** (what you expect, as a region for an
    effect), a table and a figure. Write the claims first. Then you cannot move the goal.

    The question here: *do small batches teach more?* Given the same number of examples to look at, is it better to
    learn from 20 at a time, or from 500? Folklore says small, for their noise helps to generalise. But the learning
    rate must be fair: each batch size gets its own best.
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

    A frozen dataclass; every field would be a flag on the command line, its docstring the help.
    """)
    return


@app.class_definition
@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The MLP on the published data, with batches of several sizes."""

    batch_sizes: tuple[int, ...] = (20, 100, 500)
    """Examples per step."""
    n_examples: int = 100_000
    """Examples to look at, whatever the batch size."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    """Learning rates of Adam, of which each batch size has its best by validation accuracy."""


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Cells and run

    What changes the *shape* of the computation is a cell: another batch size is another compiled program. What does
    not is an axis of the population: learning rates and seeds. `run` is pure: the same protocol, condition, seeds and
    key give the same numbers.
    """)
    return


@app.cell
def _():
    def conditions(protocol):
        return [{"batch_size": size} for size in protocol.batch_sizes]

    def run(protocol, condition, seeds, *, key, artifacts=None, progress=None, resume=None):
        n_steps = protocol.n_examples // condition["batch_size"]
        plan = Plan(n_steps, condition["batch_size"], eval_every=n_steps)
        grid = {"learning_rate": protocol.rates, "seed": seeds}
        objective = flylab.supervised(dense.mlp())
        found = train_members(objective, flylab.published(), plan, grid, key=key, progress=progress).results
        return found[["valid_accuracy", "test_accuracy"]].isel(step=-1, drop=True)

    return cells, run


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Claims

    An effect turns results into **one value per seed**, paired; the region says where its mean should lie. The
    second claim is one of *equivalence*: it needs a margin, and fails if the interval is wide.
    """)
    return


@app.cell
def _():
    def accuracy(results, batch_size):
        """Test accuracy at the batch size's own best rate, over seed. The rate is chosen on the validation set."""
        one = results.sel(batch_size=batch_size)
        best = one.valid_accuracy.mean("seed").idxmax("learning_rate")
        return one.test_accuracy.sel(learning_rate=best)

    def difference(results, small, large):
        return accuracy(results, small) - accuracy(results, large)

    CLAIMS = (
        Claim(
            "small-better",
            "batches of 20 beat batches of 500 by at least 1 point",
            "here",
            "–",
            "points",
            lambda results: difference(results, 20, 500),
            above=1,
            requires={"batch_size": (20, 500)},
        ),
        Claim(
            "middle-equal",
            "batches of 20 and of 100 differ by less than 1 point",
            "here",
            "–",
            "points",
            lambda results: difference(results, 20, 100),
            within=(-1, 1),
            requires={"batch_size": (20, 100)},
        ),
    )
    return (CLAIMS,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Table and figure

    They read the results and nothing else, so they can be changed without training again.
    """)
    return


@app.cell
def _(CLAIMS, cells, run):
    def table(results):
        rates = results.learning_rate.values
        rows = []
        for size in results.batch_size.values:
            one = results.test_accuracy.sel(batch_size=size)
            rows.append((str(size), *(plus_minus(one.sel(learning_rate=rate)) for rate in rates)))
        columns = ("batch size", *(f"rate {rate:g}" for rate in rates))
        return Table("Test accuracy (%), mean ± half of the 95 % interval", columns, rows)

    def figure(results):
        with style():
            drawn = Figure(figsize=(7, 3.8))
            ax = drawn.subplots()
            for i, (size, colour) in enumerate(zip(results.batch_size.values, COLOURS, strict=False)):
                one = results.test_accuracy.sel(batch_size=size)
                found = [interval(one.sel(learning_rate=rate))[:3] for rate in results.learning_rate.values]
                mean, low, high = np.array(found).T
                reach = (mean - low, high - mean)
                at = results.learning_rate * 1.03**i  # side by side
                ax.errorbar(at, mean, reach, fmt="o-", color=colour, capsize=3, label=str(size))
            ax.set(
                xscale="log",
                xlabel="learning rate",
                ylabel="test accuracy (%)",
                title="The same number of examples seen",
            )
            ax.legend(title="batch size")
        return drawn

    STUDY = Study(
        question="Given the same number of examples to look at, do small batches teach more?",
        presets={
            "smoke": Protocol(n_seeds=2, n_examples=2000, rates=(1e-3, 1e-2)),
            "quick": Protocol(n_seeds=8),
            "paper": Protocol(n_seeds=30, n_examples=600_000),
        },
        conditions=conditions,
        run=run,
        claims=CLAIMS,
        figure=figure,
        table=table,
        n_steps=lambda protocol, condition: len(protocol.rates) * protocol.n_examples // condition["batch_size"],
        name="batch_size",
    )
    return STUDY, figure, table


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run

    `force=True` trains every time: in a notebook, flylab cannot know what a cell's code depends on. As a file in a
    package (see the end) the study is found again after it ran, and goes on after a crash.
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
    verdicts = judge(STUDY.claims, results, {name: STUDY.cells(protocol) for name, protocol in STUDY.presets.items()})
    notebook.claims(verdicts)
    return (verdicts,)


@app.cell(hide_code=True)
def _(guess, verdicts):
    mo.md(notebook.answer(verdicts, "small-better", guess.value))
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Reading the error bars

    Suppose you had compared at one learning rate, the usual 0.01. Would the verdict be the same? The figure tells.
    Most "A is better than B" in machine learning is decided by such a choice, and no error bar shows it. That is
    why the rate is part of the claim's effect, and why it is chosen on the validation set: chosen on the test set,
    whoever has more rates to choose from wins.

    ## More to try

    - A referee says: "Small batches take more *time*." Add a claim at equal numbers of *steps*.
    - `Protocol(batch_sizes=(5, 20, 100, 500, 2000))`: is there an optimum?
    - Do it with `flylab.endless()` in place of `flylab.published()`: with nothing to memorise, does noise still
      help?

    ## Make it a package

    Put the cells above into a file, `batch_size.py`, and beside it a `pyproject.toml` with

    ```toml
    [project.entry-points."flylab.studies"]
    batch_size = "batch_size"
    ```

    After `pip install .`, `flylab list` knows it, `flylab run batch-size --preset quick` runs it, and `flylab
    claims` and `flylab report` show it like all others. The docs page *your study* has a complete one.

    ## Further reading

    - N. Keskar et al.: *On large-batch training for deep learning*, ICLR 2017 ([arXiv
      1609.04836](https://arxiv.org/abs/1609.04836)).
    - C. Shallue et al.: *Measuring the effects of data parallelism on neural network training*, JMLR 2019 ([arXiv
      1811.03600](https://arxiv.org/abs/1811.03600)): what remains once everything is tuned.
    """)
    return


@app.cell(hide_code=True)
def _(verdicts):
    if mo.app_meta().mode == "script":
        print(notebook.claims(verdicts))
    return


if __name__ == "__main__":
    app.run()
