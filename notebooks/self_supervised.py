import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: self supervised")

with app.setup:
    import os

    import jax
    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    import flylab
    from flylab.data.views import view
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, style
    from flylab.results.statistics import plus_minus
    from flylab.studies import self_supervised

    flylab.initialise()  # set up JAX for all cores before its first use


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Learning without labels

    Show a network two distorted copies of a signal, among those of a hundred others, and let it learn which belong
    together. Nobody tells it what a digit is. Does what it has learned help to tell digits apart? And *which layer* of
    the network helps most: the last one, or one further in?
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
    ## Two views of one signal

    A view is a copy of a signal with a random shift, slope and offset. Here is what the network sees. It must recognise
    a signal by what all its views have in common.
    """)
    return


@app.cell
def _():
    def views(n_views=4):
        signals = flylab.published(flylab.MNIST1D(n_valid=0)).train.x[:3].astype(np.float32)
        with style():
            figure = Figure(figsize=(9, 2.6))
            for i, (signal, ax) in enumerate(zip(signals, figure.subplots(1, 3, sharey=True), strict=True)):
                keys = jax.random.split(jax.random.key(i), n_views)
                for signal_view in jax.vmap(view, (0, None))(keys, signal):
                    ax.plot(signal_view, color=COLOURS[0], alpha=0.5, linewidth=1)
                ax.plot(signal, color="black", linewidth=1.4)
                ax.set(xlabel="position", title=f"signal {i} (black) and its views")
        return figure

    notebook.figure(views(), "three signals, each with four random views of it")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What was claimed

    Greydanus & Kobak (2024, figure 8) report that a linear classifier on the layer before the projection head reaches
    82 %. On the raw signal it reaches 33 %. Accuracy peaks *inside* the network, and is lower at the output, although
    the output is what was trained. Bordes et al. (2023) called the remedy guillotine regularization: cut off the head.

    ## Predict before you look
    """)
    return


@app.cell
def _():
    guess_probe = mo.ui.slider(10, 100, value=50, label="linear accuracy before the head, in percent", show_value=True)
    guess_probe
    return (guess_probe,)


@app.cell
def _():
    guess_lost = mo.ui.slider(
        -10, 30, value=0, label="points lost from the best inner layer to the output", show_value=True
    )
    guess_lost
    return (guess_lost,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {self_supervised.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("self_supervised", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_lost, guess_probe, results):
    notebook.folded(
        mo.md(
            f"""
    - **Before the head.** {notebook.answer(results, "probe", guess_probe.value)}
    - **From the best layer to the output.** {notebook.answer(results, "guillotine-default", guess_lost.value)}
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
    ## Reading the error bars: when the sources disagree

    *Which layer* has the peak? The paper and its notebook disagree. Here each statement is a claim of its own, and the
    two cannot both be supported. The best layer of one run is the largest of a few noisy numbers, so from one run per
    head you would always find *a* peak. Count the seeds instead:
    """)
    return


@app.cell
def _(results):
    _layers = results.layer.values

    def seeds_best(head):
        return [str(int((self_supervised.best_layer(results, head) == layer).sum())) for layer in results.layer.values]

    notebook.table(
        flylab.study.Table(
            "Number of seeds in which a layer is the most accurate",
            ("head", *(f"layer {layer}" for layer in _layers)),
            [(self_supervised.TITLES[head], *seeds_best(head)) for head in results["head"].values],
        )
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## An experiment: is it the training?

    Even a convolution with *random* weights extracts features from a signal. In the lower row of the figure, compare
    the map before training with the map after it. Which control would you need for the sentence "SimCLR learns
    digits"?
    """)
    return


@app.cell
def _(results):
    _raw = self_supervised.at_layer(results, 0, "default")
    _before_head = self_supervised.at_layer(results, self_supervised.BEFORE_HEAD, "default")
    mo.md(
        f"Linear accuracy: {plus_minus(_raw)} % on the raw signal, {plus_minus(_before_head)} % before the head, "
        f"a gain of {plus_minus(_before_head - _raw)} points. How much of this gain would an untrained network have? "
        "Measure it: `get_model('cnn').init(key)` makes the parameters of an untrained network, and "
        "`flylab.models.convolutional.cnn_layers(params, x)` returns its layers."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - `flylab.run("self_supervised", preset.value, out, objectives=("simclr", "vicreg"))` adds another objective.
    - `embedding_size=64`, `batch_size=500`: with more negatives, does the peak move?
    - Invent a view. If views also reversed the signal, which digits would become the same? Write such a view (see the
      docs page *self-supervised*), and look at which classes are confused.

    ## Further reading

    - T. Chen et al.: *A simple framework for contrastive learning of visual representations*, ICML 2020 ([arXiv
      2002.05709](https://arxiv.org/abs/2002.05709)).
    - F. Bordes et al.: *Guillotine regularization*, TMLR 2023 ([arXiv
      2206.13378](https://arxiv.org/abs/2206.13378)).
    - A. Bardes, J. Ponce, Y. LeCun: *VICReg*, ICLR 2022 ([arXiv 2105.04906](https://arxiv.org/abs/2105.04906)).
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
