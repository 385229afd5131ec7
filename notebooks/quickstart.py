import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: quickstart")

with app.setup:
    import os

    import marimo as mo
    from matplotlib.figure import Figure

    import flylab
    from flylab.data import shuffled
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, band, style
    from flylab.results.statistics import interval, plus_minus
    from flylab.studies import continuum


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # flylab in five minutes

    flylab is a laboratory for questions about how neural networks learn. Its data, MNIST-1D, are so small that a
    network learns them in a second, and yet tell architectures apart. So a question is asked of ten networks
    instead of one, and the answer comes with error bars.

    You will train four populations of networks, predict before you look, and read an interval.
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
    `quick` trains ten networks of each kind, about a minute in all on two cores. `smoke` only tries whether
    everything works; `paper` takes 30 seeds.

    ## The data

    A signal is 40 numbers: a digit written as a line, stretched, shifted, tilted and buried in noise. Here are two
    of each class. Which could you tell apart?
    """)
    return


@app.cell
def _():
    splits = flylab.published()

    def examples(splits):
        with style():
            drawn = Figure(figsize=(10, 3))
            for digit, ax in enumerate(drawn.subplots(2, 5, sharex=True, sharey=True).ravel()):
                for signal, colour in zip(splits.train.x[splits.train.y == digit][:2], COLOURS, strict=False):
                    ax.plot(signal, color=colour, linewidth=1.2)
                ax.set_title(f"class {digit}", fontsize=9)
            drawn.supxlabel("position", fontsize=9)
            drawn.supylabel("value (standardised)", fontsize=9)
        return drawn

    notebook.figure(examples(splits), "two signals of each of the ten classes")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The question

    An **MLP** sees 40 numbers in no particular order. A **CNN** looks at neighbours, and uses the same weights
    everywhere: it *presupposes* that positions have neighbours, and that a pattern means the same wherever it
    stands. What is that worth, in points of test accuracy? And what if all positions are shuffled, by one
    permutation for all signals, so that no information is lost, but neighbours are?

    **Predict before you look.** (Points are percentage points.)
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(
        -40, 60, value=10, label="CNN − MLP on plain signals, in points", show_value=True, full_width=True
    )
    guess
    return (guess,)


@app.cell
def _():
    guess_shuffled = mo.ui.slider(-40, 60, value=0, label="… on shuffled signals", show_value=True, full_width=True)
    guess_shuffled
    return (guess_shuffled,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The experiment

    `flylab.run` runs a study, or finds that it was run before. The study `train` is plain training of one network,
    for several seeds: ten initialisations of it.
    """)
    return


@app.cell
def _(out, preset):
    def trained(model, arrangement):
        data = flylab.MNIST1D(permutation=shuffled(40) if arrangement == "shuffled" else None)
        return flylab.run("train", preset.value, out, model=model, data=data).test_accuracy.sel(model=model)

    accuracy = {
        (model, arrangement): trained(model, arrangement)
        for model in ("mlp", "cnn")
        for arrangement in ("plain", "shuffled")
    }
    accuracy["cnn", "plain"].isel(step=-1)
    return (accuracy,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Results are arrays with names: `.isel(step=-1).mean("seed")` is what it says. The band in the figure is the 95 %
    interval of the mean over seeds.
    """)
    return


@app.cell
def _(accuracy):
    def curves(accuracy):
        with style():
            drawn = Figure(figsize=(8, 4))
            ax = drawn.subplots()
            for (model, arrangement), curve in accuracy.items():
                colour, line = COLOURS[model == "cnn"], "-" if arrangement == "plain" else "--"
                band(ax, curve, label=f"{model.upper()}, {arrangement}", color=colour, linestyle=line)
            ax.set(title="Test accuracy while learning")
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return drawn

    notebook.figure(curves(accuracy), "learning curves of MLP and CNN on plain and shuffled signals")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The answer, with an error bar

    Both networks of a pair have the same seed and the same data, so the difference is taken **seed by seed**; what
    varies from seed to seed for both alike drops out. The interval says where the mean difference lies, with 95 %
    confidence.
    """)
    return


@app.cell
def _(accuracy, guess, guess_shuffled):
    last = {name: curve.isel(step=-1) for name, curve in accuracy.items()}
    gap = {arrangement: last["cnn", arrangement] - last["mlp", arrangement] for arrangement in ("plain", "shuffled")}

    def said(name, guessed):
        mean, low, high, n = interval(gap[name])
        return f"| {name} | {guessed} | {mean:.1f} | {low:.1f} … {high:.1f} | {n} |"

    mo.md(
        f"""
    | signals | you said | CNN − MLP (points) | 95 % interval | seeds |
    |---|---|---|---|---|
    {said("plain", guess.value)}
    {said("shuffled", guess_shuffled.value)}

    Test accuracy in percent: MLP {plus_minus(last["mlp", "plain"])}, CNN {plus_minus(last["cnn", "plain"])};
    shuffled: MLP {plus_minus(last["mlp", "shuffled"])}, CNN {plus_minus(last["cnn", "shuffled"])}
    (mean ± half of the 95 % interval).
    """
    )
    return (gap,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Would one seed have done?

    Here is every seed. A paper that trains each network once reports one of these dots, and you would not know
    which.
    """)
    return


@app.cell
def _(gap):
    def dots(gap):
        with style():
            drawn = Figure(figsize=(8, 2))
            ax = drawn.subplots()
            for row, values in enumerate(gap.values()):
                mean, low, high, _ = interval(values)
                ax.plot(values, [row] * values.size, "o", color=COLOURS[row], alpha=0.35, markeredgewidth=0)
                ax.errorbar(
                    mean, row - 0.25, xerr=[[mean - low], [high - mean]], fmt="o", color=COLOURS[row], capsize=4
                )
            ax.axvline(0, color="0.5", linewidth=1)
            ax.set(yticks=range(len(gap)), yticklabels=list(gap), ylim=(1.4, -0.6))
            ax.set(xlabel="CNN − MLP (points)", title="Each seed, and the mean with its 95 % interval")
        return drawn

    notebook.figure(dots(gap), "difference of CNN and MLP for each seed")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Claims

    In flylab a published statement is a *claim*: an effect, and a region where it should lie. Every run of a study
    tests all of its claims. Here is a run that comes with the package (no training now): sixteen models between the
    MLP and the CNN, by what shuffling costs them.
    """)
    return


@app.cell
def _():
    reference = continuum.load_reference()
    notebook.figure(reference)
    return (reference,)


@app.cell
def _(reference):
    notebook.claims(reference, "moderate-local", "equivariant-gru", "none-forest", "sharing", "deeper")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Try it

    - Change the data: `flylab.MNIST1D(max_translation=1)` in `trained` (nothing is shifted). What is the CNN's
      advantage now? Predict first. The notebook `data_params` has the whole curve.
    - Halve the number of examples: `n_train=2000`.
    - Ask for more seeds: `flylab.run("train", preset.value, out, model="cnn", n_seeds=20)` trains only the new
      ones.

    The same from a terminal: `flylab run train --model cnn --preset quick`, `flylab list`, `flylab run
    architectures`.

    ## Where to go next

    `building_mnist1d` makes the data step by step. One notebook per study: `architectures`, `data_params`, `continuum`
    (what networks presuppose), `pooling`, `double_descent`, `lottery`, `self_supervised`, `learning_rate`,
    `activation`, `transfer`. Then your own: `own_model`, `own_study`, `metalearning_the_data`, and `from_pytorch`.

    MNIST-1D: S. Greydanus and D. Kobak, *Scaling down deep learning with MNIST-1D*, ICML 2024 ([arXiv
    2011.14439](https://arxiv.org/abs/2011.14439)).
    """)
    return


@app.cell(hide_code=True)
def _(gap):
    if mo.app_meta().mode == "script":
        print(*(f"CNN − MLP, {name}: {plus_minus(values)} points" for name, values in gap.items()), sep="\n")
    return


if __name__ == "__main__":
    app.run()
