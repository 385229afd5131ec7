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

    flylab.initialise()  # JAX on all cores, before its first use


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Is ReLU the best function? Let gradient descent look.

    ReLU, ELU, Swish: activation functions were invented by people, or picked from a list by search. Here one is
    *learned*: it is itself a small network, added to ELU, and its weights are descended through whole training runs
    of another network. What comes out, and does it beat the usual ones?
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

    Greydanus & Kobak (2024, section 3.4): the learned function beats ReLU, ELU and Swish, and has two extrema: it
    is not even monotonic.

    Now be suspicious, as a referee should be. It was metalearned *at one learning rate*, so it is tuned to it. Its
    rivals were not. And it was tested on what it was made with. So here it is tested on data and initial weights
    that it never saw, and its rivals also get **their own best learning rate**, chosen by validation accuracy.

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
    Sketch the function that you expect, on [−5, 5].

    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {activation.STUDY.minutes[preset.value]:g} minutes on two cores, "
        "the first time."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("activation", preset.value, out)
    notebook.figure(results)
    return (results,)


@app.cell(hide_code=True)
def _(guess_relu, guess_tuned, results):
    mo.md(
        f"""
    - **At the published rate.** {notebook.answer(results, "beats-relu", guess_relu.value)}
    - **At ReLU's own best rate.** {notebook.answer(results, "beats-relu.tuned", guess_tuned.value)}
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
    ## Reading the error bars: a fair comparison

    An error bar says how sure you are of a number, not whether it is the right number. Compare the rows with and
    without *own best rate*: how much of the lead was tuning? That part no number of seeds would have shown. When
    you read "our method beats the baseline", ask who tuned the baseline, and for how long.

    ## An experiment: the function itself

    flylab comes with a function learned by the preset `paper`. It is a function from number to number; use it as
    any other.
    """)
    return


@app.cell
def _():
    def functions():
        x = jnp.linspace(-5, 5, 401)
        shown = {"learned": activations.learned, "ELU": jax.nn.elu, "ReLU": jax.nn.relu, "Swish": jax.nn.swish}
        with style():
            drawn = Figure(figsize=(9, 3.6))
            left, right = drawn.subplots(1, 2)
            for (name, f), colour in zip(shown.items(), COLOURS, strict=False):
                width = 2 if name == "learned" else 1
                left.plot(x, f(x), color=colour, label=name, linewidth=width)
                right.plot(x, jax.vmap(jax.grad(f))(x), color=colour, linewidth=width)
            left.set(xlabel="input", ylabel="output", title="The functions")
            right.set(xlabel="input", ylabel="slope", title="Their slopes")
            left.legend()
        return drawn

    notebook.figure(functions(), "the learned activation beside ELU, ReLU and Swish, and their slopes")
    return


@app.cell
def _():
    _x = np.linspace(-5, 5, 2001)
    _slope = np.gradient(np.asarray(activations.learned(jnp.asarray(_x))), _x)
    _where = _x[1:][np.diff(np.sign(_slope)) != 0]
    mo.md("Its slope changes sign at x = " + ", ".join(f"{place:.2f}" for place in _where) + ".")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Put it into a network of your own (`own_model`): `flylab.models.activations.learned(x)` in place of `jax.nn.relu`.
    - `flylab.run("activation", preset.value, out, noise=0.0)`: the published networks are noisy. Is the noise what
      makes the function useful?
    - `fresh_start=True`: metalearn over new initial weights each time, the fairer test.
    - Is it good for anything else than MNIST-1D? That is the next notebook, `transfer`. Predict.

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
