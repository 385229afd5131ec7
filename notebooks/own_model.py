import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: own model")

with app.setup:
    import os

    import jax
    import jax.numpy as jnp
    import marimo as mo

    import flylab
    from flylab.models import convolutional, dense, layers
    from flylab.reporting import notebook
    from flylab.results.statistics import interval_text
    from flylab.studies import continuum

    flylab.initialise()  # JAX on all cores, before its first use


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Your own model

    A model is two functions. `init(key)` makes the parameters, `apply(params, x)` gives ten outputs for **one**
    signal of 40 numbers. No batches, no classes, no training loop: flylab batches, trains a population, and
    measures.

    Ours here is an idea rather than an architecture: *a digit is a set of strokes; which ones occur matters, not
    where.* So: 16 learned patterns of 9 points are compared with every place of the signal, and of each pattern
    only its best match is kept.
    """)
    return


@app.cell
def _():
    preset = mo.ui.dropdown(["smoke", "quick", "paper"], os.environ.get("FLYLAB_PRESET", "quick"), label="preset")
    out = "runs"  # the folder of all runs: what is there is not trained again
    preset
    return out, preset


@app.cell
def _():
    def init(key):
        patterns, output = jax.random.split(key)
        return {"patterns": layers.conv1d_init(patterns, 1, 16, 9), "output": layers.linear_init(output, 16, 10)}

    def apply(params, x):  # x (40,) → outputs (10,)
        matches = layers.conv1d(params["patterns"], x[None])  # (16 patterns, 32 places)
        return layers.linear(params["output"], jnp.max(jax.nn.relu(matches), axis=1))

    model = flylab.Model(init, apply)
    mo.md(
        f"It has {flylab.n_params(model)} parameters; the CNN of flylab has {flylab.n_params(convolutional.cnn())}, the MLP "
        f"{flylab.n_params(dense.mlp())}."
    )
    return (model,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Predict before you look

    `flylab.evaluate` trains it as the study `architectures` trains its own: several seeds, plain and with shuffled
    positions, and with fewer examples. From that come its accuracy and its **spatial-prior score**: what shuffling
    costs it, on a scale where the MLP is 0 and the CNN is 1.
    """)
    return


@app.cell
def _():
    _known = {row.model: interval_text(row.plain) for row in continuum.rows(continuum.load_reference())}
    _label = f"its test accuracy in percent (MLP {_known['mlp']}, CNN {_known['cnn']})"
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
    found = flylab.evaluate(model, name="strokes", preset=preset.value, out=out)
    notebook.figure(continuum.drawn(found.rows, highlighted="strokes"), "the model among those of flylab")
    return (found,)


@app.cell(hide_code=True)
def _(found, guess_accuracy, guess_score, preset):
    row = found.row
    mo.md(
        f"""
    - **Accuracy.** You said {guess_accuracy.value} %; measured: {interval_text(row.plain)} %.
    - **Score.** You said {guess_score.value:g}; measured: {interval_text(row.score, 2)}.
    - **Flags.** {", ".join(found.flags) or "none"}. (A flag says that a score means nothing, e.g. `weak`: near chance.)

    {"The preset smoke decides nothing: its numbers mean nothing." if preset.value == "smoke" else ""}
    """
    )
    return


@app.cell
def _(found):
    notebook.table(continuum.details(found.row))
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Above: what it makes of fewer examples, and how many points it loses where a knob of the data is turned up in
    the test only. Green is yours. (The grey models come with flylab; they are shown where the protocol is the
    same.)

    ## Reading the error bars

    The intervals are over seeds of the initialisation, on one data set: they say how sure you can be about *this
    model on these data*. `fresh_data=True` gives a new data set to each seed, and honest intervals for *data like
    these*. Is a model better than another? Do not compare bars by eye; take the difference, paired by seed:
    """)
    return


@app.cell
def _(found):
    _gap = continuum.last(found.results, "strokes") - continuum.last(found.results, "mlp")
    mo.md(
        f"strokes − MLP: **{flylab.results.statistics.plus_minus(_gap)}** points of test accuracy, over {_gap.size} seeds."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: train it yourself

    `evaluate` is a protocol; underneath is one call. Here is the model's learning rate, swept, with an axis more
    than the evaluation has.
    """)
    return


@app.cell
def _(model, preset):
    rates = (3e-3, 1e-2, 3e-2)
    _short = preset.value == "smoke"
    swept = flylab.train_members(
        flylab.supervised(model),
        flylab.published(),
        flylab.Plan(n_steps=20 if _short else 1000),
        {"learning_rate": rates, "seed": range(2 if _short else 6)},
    ).results.test_accuracy.isel(step=-1)
    notebook.table(
        flylab.study.Table(
            "Test accuracy (%), mean ± half of the 95 % interval",
            ("learning rate", "strokes"),
            [(f"{rate:g}", flylab.results.statistics.plus_minus(swept.sel(learning_rate=rate))) for rate in rates],
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Patterns of 3 points, or of 20. Which length is best, and why about as long as ...? (`building_mnist1d`
      knows.)
    - Keep the *two* best matches, or their mean: one line each.
    - Keep *where* the best match was (`jnp.argmax` has no gradient: what else could you do?).
    - `jnp.sort(x)` as the first line of `apply`: a model that cannot lose anything by shuffling. Its score?
    - A PyTorch module, an Equinox module or a scikit-learn pipeline in place of `model` works as well
      (`from_pytorch`).

    From a terminal, with the two functions in `my_model.py`: `flylab evaluate my_model.py:model`, then `flylab
    leaderboard`. There the results are found again until the file changes.

    ## Further reading

    - The docs page *your model*, with what can go wrong with the score.
    - M. Zaheer et al.: *Deep sets*, NeurIPS 2017 ([arXiv 1703.06114](https://arxiv.org/abs/1703.06114)): models of
      sets.
    """)
    return


@app.cell(hide_code=True)
def _(found):
    if mo.app_meta().mode == "script":
        print(f"strokes: {interval_text(found.row.plain)} %, score {interval_text(found.row.score, 2)}")
    return


if __name__ == "__main__":
    app.run()
