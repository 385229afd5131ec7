import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: own model")

with app.setup:
    import os

    import jax
    import jax.numpy as jnp
    import marimo as mo

    import flylab
    from flylab.models import get_model, layers
    from flylab.reporting import notebook
    from flylab.results.statistics import interval_text, plus_minus
    from flylab.studies import continuum

    flylab.initialise()  # set up JAX for all cores before its first use


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Your own model

    A model is two functions: `init(key)` makes the parameters, and `apply(params, x)` returns ten outputs for **one**
    signal of 40 numbers. You write no batches, no classes and no training loop. flylab makes the batches, trains a
    population, and measures it.

    The model in this notebook starts from an idea: *a digit is a set of strokes, and it matters which strokes occur,
    not where.* So we compare 16 learned patterns of 9 points with every position of the signal, and keep only the
    best match of each pattern.
    """)
    return


@app.cell
def _():
    preset = mo.ui.dropdown(["smoke", "quick", "paper"], os.environ.get("FLYLAB_PRESET", "quick"), label="preset")
    out = "runs"  # the folder of all runs; a finished run is loaded, not trained again
    preset
    return out, preset


@app.cell
def _():
    def init(key):
        patterns, output = jax.random.split(key)
        return {"patterns": layers.conv1d_init(patterns, 1, 16, 9), "output": layers.linear_init(output, 16, 10)}

    def apply(params, x):  # x (40,) → outputs (10,)
        matches = layers.conv1d(params["patterns"], x[None])  # (16 patterns, 32 positions)
        return layers.linear(params["output"], jnp.max(jax.nn.relu(matches), axis=1))

    model = flylab.Model(init, apply)
    mo.md(
        f"The model has {flylab.n_params(model)} parameters. flylab's CNN has {flylab.n_params(get_model('cnn'))}, "
        f"and its MLP {flylab.n_params(get_model('mlp'))}."
    )
    return (model,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Predict before you look

    `flylab.evaluate` trains your model like the study `architectures` trains flylab's: with several seeds, on plain
    and on shuffled positions, and with fewer examples. The result is an accuracy and a **spatial-prior score**: the
    accuracy that shuffling costs, on a scale where the MLP is 0 and the CNN is 1.
    """)
    return


@app.cell
def _():
    _accuracies = {row.model: interval_text(row.plain) for row in continuum.rows(continuum.load_reference())}
    _label = f"its test accuracy in percent (MLP {_accuracies['mlp']}, CNN {_accuracies['cnn']})"
    guess_accuracy = mo.ui.slider(10, 100, value=60, label=_label, show_value=True)
    guess_accuracy
    return (guess_accuracy,)


@app.cell
def _():
    guess_score = mo.ui.slider(-0.5, 1.5, step=0.05, value=0.5, label="its spatial-prior score", show_value=True)
    guess_score
    return (guess_score,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Evaluate
    """)
    return


@app.cell
def _(model, out, preset):
    evaluation = flylab.evaluate(model, name="strokes", preset=preset.value, out=out)
    notebook.folded(
        notebook.figure(
            continuum.figure_of(evaluation.rows, highlighted="strokes"), "your model among flylab's models"
        ),
        title="Show the figure",
    )
    return (evaluation,)


@app.cell(hide_code=True)
def _(evaluation, guess_accuracy, guess_score, preset):
    row = evaluation.row
    notebook.folded(
        mo.md(
            f"""
    - **Accuracy.** You said {guess_accuracy.value} %; measured: {interval_text(row.plain)} %.
    - **Score.** You said {guess_score.value:g}; measured: {interval_text(row.score, 2)}.
    - **Flags.** {", ".join(evaluation.flags) or "none"}. (A flag marks a score that means nothing; `weak`, for
      example, marks an accuracy near chance.)

    {"The preset smoke only checks that everything works: its numbers mean nothing." if preset.value == "smoke" else ""}
    """
        ),
        title="Compare with your prediction",
    )
    return


@app.cell
def _(evaluation):
    notebook.folded(notebook.table(continuum.details(evaluation.row)), title="Show the table")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    The table shows the accuracy with fewer training examples, and the points that the model loses when one data
    parameter is larger in the test set than in training. In the figure, green is your model. (The grey models come
    with flylab, and are shown only if the protocol is the same.)

    ## Reading the error bars

    The intervals are over random initialisations on one data set. They say how sure you can be about *this model on
    these data*. `fresh_data=True` gives each seed a new data set, and so yields intervals for *data like these*. Is
    one model better than another? Do not compare bars by eye. Take the difference, paired by seed:
    """)
    return


@app.cell
def _(evaluation):
    _gap = continuum.last(evaluation.results, "strokes") - continuum.last(evaluation.results, "mlp")
    mo.md(f"strokes − MLP: **{plus_minus(_gap)}** points of test accuracy over {_gap.size} seeds.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: train it yourself

    `evaluate` follows a fixed protocol. Underneath it, one function trains populations, and you can call it yourself.
    Here it trains the model at three learning rates.
    """)
    return


@app.cell
def _(model, preset):
    rates = (3e-3, 1e-2, 3e-2)
    _short = preset.value == "smoke"
    accuracy = flylab.train_members(
        flylab.supervised(model),
        flylab.published(),
        flylab.Plan(n_steps=20 if _short else 1000),
        {"learning_rate": rates, "seed": range(2 if _short else 6)},
    ).results.test_accuracy.isel(step=-1)
    notebook.table(
        flylab.study.Table(
            "Test accuracy (%), mean ± half of the 95 % interval",
            ("learning rate", "strokes"),
            [(f"{rate:g}", plus_minus(accuracy.sel(learning_rate=rate))) for rate in rates],
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Try patterns of 3 points, or of 20. Which length is best, and why? (Compare it with the length of a digit in
      `building_mnist1d`.)
    - Keep the *two* best matches, or their mean. Each takes one line.
    - Keep the *position* of the best match. (`jnp.argmax` has no gradient. What else could you use?)
    - Make `jnp.sort(x)` the first line of `apply`. This model cannot lose anything by shuffling. What is its score?
    - Use a PyTorch module, an Equinox module or a scikit-learn pipeline in place of `model` (`from_pytorch`).

    In a terminal, with the model in `my_model.py`: `flylab evaluate my_model.py:model`, then `flylab leaderboard`. The
    results are stored, and loaded again until the file changes.

    ## Further reading

    - The docs page *your model* says what can go wrong with the score.
    - M. Zaheer et al.: *Deep sets*, NeurIPS 2017 ([arXiv 1703.06114](https://arxiv.org/abs/1703.06114)): models of
      sets.
    """)
    return


@app.cell(hide_code=True)
def _(evaluation):
    if mo.app_meta().mode == "script":
        print(f"strokes: {interval_text(evaluation.row.plain)} %, score {interval_text(evaluation.row.score, 2)}")
    return


if __name__ == "__main__":
    app.run()
