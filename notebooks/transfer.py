import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: transfer")

with app.setup:
    import os

    import marimo as mo

    import flylab
    from flylab.models import activations
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus
    from flylab.studies import transfer


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Does what helps a fly help an elephant?

    Every small laboratory must face this question. In the notebook `activation`, an activation function was metalearned
    on MNIST-1D, in a network with one hidden layer. Now we take it out of the laboratory: into a convolutional network
    with three layers, on images, with another optimiser. Does it still help?
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

    The essay (Greydanus 2020) reports on MNIST and CIFAR-10. The learned function had the lowest or second-lowest
    training loss over the first epoch, and a middle rank by final test loss. So networks with it learn fast, but end
    up nothing special. By default, this study uses scikit-learn's 1797 handwritten digits, which need no download: the
    same statements on them are claims of their own. Those on MNIST and CIFAR-10 are tested on these images only.

    ## Predict before you look

    There are nine activation functions, and rank 1 is the best. In how many percent of the seeds will the learned one
    be where the essay saw it?
    """)
    return


@app.cell
def _():
    guess_early = mo.ui.slider(0, 100, value=50, label="first or second over the first epoch", show_value=True)
    guess_early
    return (guess_early,)


@app.cell
def _():
    guess_final = mo.ui.slider(0, 100, value=50, label="fourth to sixth at the end", show_value=True)
    guess_final
    return (guess_final,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {transfer.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("transfer", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_early, guess_final, results):
    notebook.folded(
        mo.md(
            f"""
    - **First epoch.** {notebook.answer(results, "transfer-early.digits", guess_early.value)}
    - **At the end.** {notebook.answer(results, "transfer-final.digits", guess_final.value)}
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
    ## Reading the error bars: when a claim is refuted

    *Refuted* means that under this protocol, the effect does not lie where the claim says. It does not mean that the
    authors were wrong about *their* images. The images, their number, the batch size and the network all differ. A
    refutation narrows down where a claim holds. flylab reports it like any other result, and does not bend a protocol
    until it goes away.

    A **rank** is also a treacherous effect, because it depends on the rivals. Replace three good rivals by bad ones,
    and the rank of all others improves. Compare ranks with the losses behind them.

    ## An experiment: the comparison, seed by seed
    """)
    return


@app.cell
def _(results):
    _loss = results.first_epoch_loss.sel(dataset="digits")
    _early = transfer.ranks(results, "first_epoch_loss").sel(activation="learned", dataset="digits")
    _best = _loss.min("activation")
    _winner = str(_loss.mean("seed").idxmin("activation").item())
    _behind = 100 * (_loss.sel(activation="learned") / _best - 1)
    mo.md(
        f"Over the first epoch, the learned function ranked first or second in **{int((_early <= 2).sum())} of "
        f"{_early.size}** seeds. Its training loss was {plus_minus(_behind)} % above that of the best function of each "
        f"seed. ({activations.title(_winner)} has the lowest mean loss.)"
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## More to try

    - Use the essay's images: `flylab.run("transfer", preset.value, out, dataset=("mnist",))` downloads them (it needs
      `pip install "flylab[images]"`). Add `n_train=5000`, or be patient.
    - `learning_rate=3e-3`: which rank changes most? What does that say about ranks at a *single* rate?
    - Metalearn a function on noisier MNIST-1D (`activation`), save it with
      `flylab.models.activations.save_weights`, and test it in the same way.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    - P. Ramachandran, B. Zoph, Q. Le: *Searching for activation functions*, 2017 ([arXiv
      1710.05941](https://arxiv.org/abs/1710.05941)): a search whose results did transfer.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
