import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: building mnist1d")

with app.setup:
    import os

    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure
    from scipy.ndimage import gaussian_filter1d
    from sklearn.neighbors import KNeighborsClassifier

    import flylab
    from flylab.data import digits, published, stages
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, style
    from flylab.results.statistics import plus_minus


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Building MNIST-1D, step by step

    A data set that you can build in thirty lines is a data set that you can experiment with. Here you build MNIST-1D
    from ten hand-drawn patterns and compare it with the published data set, number by number. Then you vary its
    parameters, and find out which of them makes it hard.
    """)
    return


@app.cell
def _():
    preset = os.environ.get("FLYLAB_PRESET", "quick")  # "smoke" only checks that everything works
    return (preset,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 1 · Ten templates

    Write a digit in one stroke from top to bottom, and note the pen's horizontal position at twelve heights. These
    twelve numbers are its template. Here the templates stand upright; a signal is a template laid on its side.
    """)
    return


@app.cell
def _():
    def templates():
        with style():
            figure = Figure(figsize=(10, 2.6))
            for label, pattern, ax in zip(digits().y, digits().x, figure.subplots(1, 10, sharey=True), strict=True):
                ax.plot(pattern, range(len(pattern))[::-1], color=COLOURS[0], linewidth=2)
                ax.set_title(str(label))
                ax.set(xlim=(-0.8, 0.8), xticks=[-0.5, 0.5])
                ax.tick_params(labelsize=7)
            figure.supxlabel("value", fontsize=9)
            figure.supylabel("point (first on top)", fontsize=9)
        return figure

    notebook.figure(templates(), "the ten templates, drawn upright as digits")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 2 · Six steps

    Six steps turn a template into an example: pad with zeros and stretch, scale, translate, add noise, shear, and
    resample to 40 points. Move the sliders and choose a digit; the figure below follows. Another `seed` gives another
    example with the same parameters.
    """)
    return


@app.cell
def _():
    data_params = mo.ui.dictionary(
        {
            "max_translation": mo.ui.slider(1, 60, value=48, label="largest translation + 1 (points)", show_value=True),
            "scale_coeff": mo.ui.slider(0, 2, step=0.1, value=0.4, label="variation of scale", show_value=True),
            "corr_noise_scale": mo.ui.slider(0, 1, step=0.05, value=0.25, label="smooth noise", show_value=True),
            "iid_noise_scale": mo.ui.slider(0, 0.2, step=0.01, value=0.02, label="white noise", show_value=True),
            "shear_scale": mo.ui.slider(0, 3, step=0.25, value=0.75, label="shear", show_value=True),
            "final_seq_length": mo.ui.slider(10, 160, step=10, value=40, label="points at the end", show_value=True),
            "seed": mo.ui.slider(0, 99, value=42, label="seed", show_value=True),
        }
    )
    data_params.vstack()
    return (data_params,)


@app.cell
def _():
    digit = mo.ui.slider(0, 9, value=3, label="digit", show_value=True)
    digit
    return (digit,)


@app.cell
def _(data_params, digit):
    config = flylab.MNIST1D(**data_params.value)

    def construction(config, digit):
        titles = ("pad, stretch", "scale", "translate", "add noise", "shear", "resample")
        with style():
            figure = Figure(figsize=(11, 2.4))
            for ax, title, stage in zip(
                figure.subplots(1, 6, sharey=True), titles, stages(config, config.seed), strict=True
            ):
                ax.plot(stage[digit], color=COLOURS[0], marker="." if title == "resample" else "", markersize=4)
                ax.set_title(title, fontsize=10)
                ax.tick_params(labelsize=7)
            figure.supxlabel("position", fontsize=9)
            figure.supylabel("value", fontsize=9)
        return figure

    notebook.figure(construction(config, digit.value), "one example after each of the six steps of its construction")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Some questions to explore:

    - Which steps can be undone, and which destroy information?
    - The noise is *smooth* only where the signal is 0, that is, beside the digit. Why did the authors put something
      there that looks like a digit?
    - At which amplitude of the smooth noise can you no longer see where the digit is?

    ## 3 · Do it yourself

    Here is the whole generator, as a plain loop. The order of the random draws is part of the recipe: change it,
    and every example changes.
    """)
    return


@app.cell
def _():
    def example(pattern, config, rng):
        low, high = config.padding
        n_zeros = low + int(rng.random_sample() * (high - low + 1))
        x = np.concatenate([pattern + 1e-8, np.zeros(n_zeros)])  # 1e-8: the template's own zeros are not padding
        x = np.interp(np.linspace(0, 1, config.n_points), np.linspace(0, 1, len(x)), x)  # stretch to 72 points
        x = x * (1 + config.scale_coeff * (rng.random_sample() - 0.5))
        x = np.roll(x, rng.randint(config.max_translation))
        smooth, white = rng.standard_normal((2, config.n_points))
        x = np.where(x != 0, x, gaussian_filter1d(config.corr_noise_scale * smooth, 2))
        x = x + config.iid_noise_scale * white
        x = x - config.shear_scale * (rng.random_sample() - 0.5) * np.linspace(-0.5, 0.5, config.n_points)
        return np.interp(np.linspace(0, 1, config.final_seq_length), np.linspace(0, 1, config.n_points), x)

    def data_set(config):
        rng, n = np.random.RandomState(config.seed), config.n_train + config.n_test
        y = np.repeat(np.arange(10), n // 10)
        x = np.array([example(np.array(digits().x[label]), config, rng) for label in y])
        order = rng.permutation(n)
        return (x[order] - x.mean()) / x.std(), y[order]  # mean 0, standard deviation 1 over the whole set

    default = flylab.MNIST1D()
    x, y = data_set(default)
    splits = published(default)
    largest_difference = float(np.abs(x[: default.n_train] - splits.train.x).max())
    same_labels = bool((y[: default.n_train] == splits.train.y).all())
    mo.md(
        f"Largest difference from the published data set, `flylab.published()`: **{largest_difference:.1e}**. "
        f"Labels: **{'identical' if same_labels else 'different'}**."
    )
    return largest_difference, splits


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 4 · Can you read it?

    Here are ten signals, one of each class, in random order. Write down the ten digits, then open the answer. In five
    such quizzes, a human read 95.8 % correctly (Greydanus & Kobak 2024).
    """)
    return


@app.cell
def _(splits):
    def quiz(seed=7):
        rng = np.random.default_rng(seed)
        order = rng.permutation(10)
        with style():
            figure = Figure(figsize=(10, 3))
            for letter, label, ax in zip("ABCDEFGHIJ", order, figure.subplots(2, 5, sharey=True).ravel(), strict=True):
                ax.plot(splits.test.x[splits.test.y == label][seed], color="black", linewidth=1.3)
                ax.set(xticks=[], title=letter)
        return figure, " ".join(f"{letter}{label}" for letter, label in zip("ABCDEFGHIJ", order, strict=True))

    question, solution = quiz()
    notebook.figure(question, "ten signals to classify by eye")
    return (solution,)


@app.cell(hide_code=True)
def _(solution):
    mo.md(f"<details><summary>Answer</summary>{solution}</details>")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 5 · Which variation makes it hard?

    **Predict before you look.** The nearest-neighbours classifier needs no training: it looks up the ten training
    signals that are most similar to a test signal. (The authors' notebook reports 59.6 % for it.) We remove one kind
    of variation at a time. Which removal helps most?
    """)
    return


@app.cell
def _():
    guess = mo.ui.dropdown(
        ["translation", "scale", "smooth noise", "white noise", "shear"], "smooth noise", label="what makes it hard"
    )
    guess
    return (guess,)


@app.cell
def _(preset):
    without = {
        "nothing": {},
        "translation": {"max_translation": 1},
        "scale": {"scale_coeff": 0.0},
        "smooth noise": {"corr_noise_scale": 0.0},
        "white noise": {"iid_noise_scale": 0.0},
        "shear": {"shear_scale": 0.0},
    }
    n_sets, n_train = (2, 500) if preset == "smoke" else (5, 4000)

    def neighbours(seed, **changes):
        data = published(flylab.MNIST1D(n_train=n_train, n_valid=0, seed=seed, **changes))
        return 100 * KNeighborsClassifier(10).fit(*data.train).score(*data.test)

    accuracy = {
        name: np.array([neighbours(1000 + 2 * i, **changes) for i in range(n_sets)])
        for name, changes in without.items()
    }
    rows = [
        (name, plus_minus(values), "–" if name == "nothing" else plus_minus(values - accuracy["nothing"]))
        for name, values in accuracy.items()
    ]
    notebook.table(
        flylab.study.Table(
            f"Ten nearest neighbours, {n_sets} data sets: mean ± half of the 95 % interval",
            ("without", "test accuracy (%)", "gain (points)"),
            rows,
        )
    )
    return (accuracy,)


@app.cell(hide_code=True)
def _(accuracy, guess):
    _gains = {
        name: float((values - accuracy["nothing"]).mean()) for name, values in accuracy.items() if name != "nothing"
    }
    hardest = max(_gains, key=lambda name: _gains[name])
    notebook.folded(
        mo.md(
            f"You said **{guess.value}**. Accuracy rises most without **{hardest}**, by {_gains[hardest]:.1f} points."
        ),
        title="Compare with your prediction",
    )
    return (hardest,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Each data set is generated twice from the same seed, with the variation and without, so the gain is paired. The
    interval is over data sets, because they are what is random here.

    A network that knows in advance that translations do not matter need not learn it from examples. A convolution has
    this knowledge built in. The notebooks `architectures` and `data_params` measure what it is worth.

    ## More to try

    - Remove two kinds of variation at once. Do the gains add up?
    - Use other templates: `flylab.MNIST1D(templates=flylab.Templates.of(your_array))`. Draw ten letters. Which two
      will be confused?
    - Use only two classes: `flylab.MNIST1D(classes=(4, 9))`. Which pair is the hardest?
    - In a terminal: `flylab data --iid-noise-scale 0 -o clean.npz --plot clean.png`.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)), section 2.
    - The docs page *data* describes the same generator in JAX, endless and differentiable.
    """)
    return


@app.cell(hide_code=True)
def _(hardest, largest_difference):
    if mo.app_meta().mode == "script":
        print(f"largest difference from the published data: {largest_difference:.1e}; hardest: {hardest}")
    return


if __name__ == "__main__":
    app.run()
