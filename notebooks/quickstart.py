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

    flylab is a laboratory for questions about how neural networks learn. Its data set, MNIST-1D, is so small that a
    network learns it in seconds, and yet it tells architectures apart. You can therefore ask a question of ten
    networks instead of one, and the answer comes with error bars.

    You will predict a result, train four populations of networks, and read a confidence interval.
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
    `quick` trains ten networks of each kind, in about a minute on two cores. `smoke` only checks that everything
    works. `paper` trains 30 seeds.

    ## The data

    A signal is 40 numbers: a digit drawn as a line, then stretched, translated, sheared and buried in noise. Here are
    two signals of each class. Which classes could you tell apart?
    """)
    return


@app.cell
def _():
    splits = flylab.published()

    def examples(splits):
        with style():
            figure = Figure(figsize=(10, 3))
            for digit, ax in enumerate(figure.subplots(2, 5, sharex=True, sharey=True).ravel()):
                for signal, colour in zip(splits.train.x[splits.train.y == digit][:2], COLOURS, strict=False):
                    ax.plot(signal, color=colour, linewidth=1.2)
                ax.set_title(f"class {digit}", fontsize=9)
            figure.supxlabel("position", fontsize=9)
            figure.supylabel("value (standardised)", fontsize=9)
        return figure

    notebook.figure(examples(splits), "two signals of each of the ten classes")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The question

    An **MLP** sees 40 numbers in no particular order. A **CNN** looks at neighbouring positions and uses the same
    weights everywhere. It *assumes* that neighbours belong together, and that a pattern means the same wherever it
    occurs. How many points of test accuracy is this assumption worth? And what if one permutation shuffles the
    positions of all signals, so that no information is lost, but the neighbourhoods are?

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

    `flylab.run` runs a study, or loads its results if it was run before. The study `train` trains one network from
    several seeds: ten seeds are ten random initialisations.
    """)
    return


@app.cell
def _(out, preset):
    def test_accuracy(model, arrangement):
        data = flylab.MNIST1D(permutation=shuffled(40) if arrangement == "shuffled" else None)
        return flylab.run("train", preset.value, out, model=model, data=data).test_accuracy.sel(model=model)

    accuracy = {
        (model, arrangement): test_accuracy(model, arrangement)
        for model in ("mlp", "cnn")
        for arrangement in ("plain", "shuffled")
    }
    accuracy["cnn", "plain"].isel(step=-1)
    return (accuracy,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Results are arrays with named dimensions: `.isel(step=-1).mean("seed")` takes the last step and averages over
    seeds. The bands in the figure are 95 % intervals of the mean over seeds.
    """)
    return


@app.cell
def _(accuracy):
    def curves(accuracy):
        with style():
            figure = Figure(figsize=(8, 4))
            ax = figure.subplots()
            for (model, arrangement), curve in accuracy.items():
                colour, line = COLOURS[model == "cnn"], "-" if arrangement == "plain" else "--"
                band(ax, curve, label=f"{model.upper()}, {arrangement}", color=colour, linestyle=line)
            ax.set(title="Test accuracy during training")
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return figure

    notebook.folded(
        notebook.figure(curves(accuracy), "learning curves of MLP and CNN on plain and shuffled signals"),
        title="Show the figure",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The answer, with an error bar

    Both networks of a pair have the same seed and the same data, so we take the difference **seed by seed**.
    Variation that both networks share then cancels. The interval says where the mean difference lies, with 95 %
    confidence.
    """)
    return


@app.cell
def _(accuracy, guess, guess_shuffled):
    last = {name: curve.isel(step=-1) for name, curve in accuracy.items()}
    gap = {arrangement: last["cnn", arrangement] - last["mlp", arrangement] for arrangement in ("plain", "shuffled")}

    def table_row(arrangement, guessed):
        mean, low, high, n = interval(gap[arrangement])
        return f"| {arrangement} | {guessed} | {mean:.1f} | {low:.1f} … {high:.1f} | {n} |"

    notebook.folded(
        mo.md(
            f"""
    | signals | you said | CNN − MLP (points) | 95 % interval | seeds |
    |---|---|---|---|---|
    {table_row("plain", guess.value)}
    {table_row("shuffled", guess_shuffled.value)}

    Test accuracy in percent: MLP {plus_minus(last["mlp", "plain"])}, CNN {plus_minus(last["cnn", "plain"])};
    with shuffled positions: MLP {plus_minus(last["mlp", "shuffled"])}, CNN {plus_minus(last["cnn", "shuffled"])}
    (mean ± half of the 95 % interval).
    """
        ),
        title="Compare with your prediction",
    )
    return (gap,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Would one seed have done?

    Here is every seed. A paper that trains each network once reports one of these dots, and its readers cannot know
    which one.
    """)
    return


@app.cell
def _(gap):
    def dots(gap):
        with style():
            figure = Figure(figsize=(8, 2))
            ax = figure.subplots()
            for row, values in enumerate(gap.values()):
                mean, low, high, _ = interval(values)
                ax.plot(values, [row] * values.size, "o", color=COLOURS[row], alpha=0.35, markeredgewidth=0)
                ax.errorbar(
                    mean, row - 0.25, xerr=[[mean - low], [high - mean]], fmt="o", color=COLOURS[row], capsize=4
                )
            ax.axvline(0, color="0.5", linewidth=1)
            ax.set(yticks=range(len(gap)), yticklabels=list(gap), ylim=(1.4, -0.6))
            ax.set(xlabel="CNN − MLP (points)", title="Each seed, and the mean with its 95 % interval")
        return figure

    notebook.figure(dots(gap), "difference of CNN and MLP for each seed")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Claims

    In flylab, a published statement becomes a *claim*: an effect, and the region in which it should lie. Every run
    of a study tests all of the study's claims. Here is a run that comes with the package, so nothing is trained
    now. It places sixteen models on a scale from the MLP to the CNN, by the accuracy that shuffling costs them.
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

    - Change the data: use `flylab.MNIST1D(max_translation=1)` in `test_accuracy`, so that no signal is translated. How
      large is the CNN's advantage now? Predict first. The notebook `data_params` has the whole curve.
    - Halve the number of training examples: `n_train=2000`.
    - Train more seeds: `flylab.run("train", preset.value, out, model="cnn", n_seeds=20)` trains only the new ones.

    The same works in a terminal: `flylab run train quick --model cnn`, `flylab list`, `flylab run architectures`.

    ## Where to go next

    `building_mnist1d` builds the data set step by step. Each study has a notebook: `architectures`, `data_params`,
    `continuum` (what networks assume), `pooling`, `double_descent`, `lottery`, `self_supervised`, `learning_rate`,
    `activation` and `transfer`. Then come your own experiments: `own_model`, `own_study`, `metalearning_the_data`
    and `from_pytorch`.

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
