import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: activation")

with app.setup:
    import os

    import jax
    import jax.numpy as jnp
    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    import flylab
    from flylab.models import activations
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, style
    from flylab.studies import activation

    flylab.initialise()  # set up JAX for all cores before its first use


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Is ReLU the best activation function? Let gradient descent search.

    People invented ReLU and ELU; a search over a list of formulas found Swish. Here an activation function is
    *learned*. It is a small network itself, added to ELU, and gradient descent trains its weights through whole
    training runs of another network. What does the learned function look like, and does it beat the usual ones?
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

    Greydanus & Kobak (2024, section 3.4) report that the learned function beats ReLU, ELU and Swish. It has two
    extrema, so it is not even monotonic.

    Be suspicious, as a referee should be. The function was metalearned *at one learning rate*, so it is tuned to
    that rate, and its rivals are not. It was also tested on the data that it was learned on. Here we test it on data
    and initial weights that it has never seen, and each rival also gets **its own best learning rate**, chosen by
    validation accuracy.

    ## Predict before you look
    """)
    return


@app.cell
def _():
    guess_relu = mo.ui.slider(
        -10, 20, value=2, label="learned − ReLU at the published rate, in points", show_value=True
    )
    guess_relu
    return (guess_relu,)


@app.cell
def _():
    guess_tuned = mo.ui.slider(-10, 20, value=0, label="learned − ReLU at ReLU's own best rate", show_value=True)
    guess_tuned
    return (guess_tuned,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Sketch the function that you expect on [−5, 5].

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {activation.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("activation", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_relu, guess_tuned, results):
    notebook.folded(
        mo.md(
            f"""
    - **At the published rate.** {notebook.answer(results, "beats-relu", guess_relu.value)}
    - **At ReLU's own best rate.** {notebook.answer(results, "beats-relu.tuned", guess_tuned.value)}
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
    ## Reading the error bars: a fair comparison

    An error bar says how sure you are of a number, not whether it is the right number. Compare the rows with and
    without *own best rate*. How much of the lead was tuning? More seeds would never have shown it. When you read
    "our method beats the baseline", ask who tuned the baseline, and for how long.

    ## An experiment: the function itself

    flylab comes with a function that an earlier run of the preset `paper` learned. It maps a number to a number, and
    you can use it like any other activation.
    """)
    return


@app.cell
def _():
    def functions():
        x = jnp.linspace(-5, 5, 401)
        function_of = {"learned": activations.learned, "ELU": jax.nn.elu, "ReLU": jax.nn.relu, "Swish": jax.nn.swish}
        with style():
            figure = Figure(figsize=(9, 3.6))
            left, right = figure.subplots(1, 2)
            for (name, f), colour in zip(function_of.items(), COLOURS, strict=False):
                width = 2 if name == "learned" else 1
                left.plot(x, f(x), color=colour, label=name, linewidth=width)
                right.plot(x, jax.vmap(jax.grad(f))(x), color=colour, linewidth=width)
            left.set(xlabel="input", ylabel="output", title="The functions")
            right.set(xlabel="input", ylabel="slope", title="Their slopes")
            left.legend()
        return figure

    notebook.figure(functions(), "the learned activation beside ELU, ReLU and Swish, and their slopes")
    return


@app.cell
def _():
    _x = np.linspace(-5, 5, 2001)
    _slope = np.gradient(np.asarray(activations.learned(jnp.asarray(_x))), _x)
    _extrema = _x[1:][np.diff(np.sign(_slope)) != 0]
    mo.md("Its slope changes sign at x = " + ", ".join(f"{x:.2f}" for x in _extrema) + ".")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Use it in a network of your own (`own_model`): `flylab.models.activations.learned(x)` in place of
      `jax.nn.relu(x)`.
    - `flylab.run("activation", preset.value, out, noise=0.0)`: the published networks add noise to their hidden
      units. Is the noise what makes the function useful?
    - `fresh_start=True` draws new initial weights for every outer step. That is the fairer test. `fresh_noise=False`
      is the opposite: like the authors' notebook, it reuses the noise of the first inner run in all others.
    - Does the function help on other data than MNIST-1D? The next notebook, `transfer`, finds out. Predict first.

    ## Further reading

    - P. Ramachandran, B. Zoph, Q. Le: *Searching for activation functions*, 2017 ([arXiv
      1710.05941](https://arxiv.org/abs/1710.05941)): how Swish was found.
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)).
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
