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

    A data set that you can build in thirty lines is one that you can ask questions of. Here you build MNIST-1D from
    ten hand-drawn patterns, compare it with the published one number by number, turn its knobs, and find out which
    of them makes it hard.
    """)
    return


@app.cell
def _():
    preset = os.environ.get("FLYLAB_PRESET", "quick")  # "smoke" for a quick try
    return (preset,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 1 · Ten templates

    A digit is written in one stroke from top to bottom. Take the pen's horizontal position at twelve heights, and
    you have a signal. Here they stand upright; a signal is one of them laid on its side.
    """)
    return


@app.cell
def _():
    def templates():
        with style():
            drawn = Figure(figsize=(10, 2.6))
            for label, pattern, ax in zip(digits().y, digits().x, drawn.subplots(1, 10, sharey=True), strict=True):
                ax.plot(pattern, range(len(pattern))[::-1], color=COLOURS[0], linewidth=2)
                ax.set_title(str(label))
                ax.set(xlim=(-0.8, 0.8), xticks=[-0.5, 0.5])
                ax.tick_params(labelsize=7)
            drawn.supxlabel("value", fontsize=9)
            drawn.supylabel("point (first on top)", fontsize=9)
        return drawn

    notebook.figure(templates(), "the ten templates, drawn upright as digits")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 2 · Six steps

    From template to example: append zeros and stretch, scale, shift, add noise, tilt, and resample to 40 points.
    Choose the digit and the knobs; all steps are drawn anew. (`seed` is another example of the same kind.)
    """)
    return


@app.cell
def _():
    knobs = mo.ui.dictionary(
        {
            "max_translation": mo.ui.slider(1, 60, value=48, label="greatest shift (points)", show_value=True),
            "scale_coeff": mo.ui.slider(0, 2, step=0.1, value=0.4, label="variation of scale", show_value=True),
            "corr_noise_scale": mo.ui.slider(0, 1, step=0.05, value=0.25, label="smooth noise", show_value=True),
            "iid_noise_scale": mo.ui.slider(0, 0.2, step=0.01, value=0.02, label="white noise", show_value=True),
            "shear_scale": mo.ui.slider(0, 3, step=0.25, value=0.75, label="tilt", show_value=True),
            "final_seq_length": mo.ui.slider(10, 160, step=10, value=40, label="points at the end", show_value=True),
            "seed": mo.ui.slider(0, 99, value=42, label="seed", show_value=True),
        }
    )
    knobs.vstack()
    return (knobs,)


@app.cell
def _():
    digit = mo.ui.slider(0, 9, value=3, label="digit", show_value=True)
    digit
    return (digit,)


@app.cell
def _(digit, knobs):
    config = flylab.MNIST1D(**knobs.value)

    def construction(config, digit):
        titles = ("pad, stretch", "scale", "shift", "add noise", "tilt", "resample")
        with style():
            drawn = Figure(figsize=(11, 2.4))
            for ax, title, stage in zip(
                drawn.subplots(1, 6, sharey=True), titles, stages(config, config.seed), strict=True
            ):
                ax.plot(stage[digit], color=COLOURS[0], marker="." if title == "resample" else "", markersize=4)
                ax.set_title(title, fontsize=10)
                ax.tick_params(labelsize=7)
            drawn.supxlabel("position", fontsize=9)
            drawn.supylabel("value", fontsize=9)
        return drawn

    notebook.figure(construction(config, digit.value), "one example after each of the six steps of its construction")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Questions to play with:

    - Which steps can be undone, and which destroy information?
    - The noise is *smooth* only where the signal was 0, beside the digit. Why would the authors put something there
      that looks like a digit?
    - At which amplitude of the smooth noise can you no longer see where the digit is?

    ## 3 · Do it yourself

    Here is the whole generator, as a plain loop. The order of the random draws is part of the recipe: change it,
    and all examples are others.
    """)
    return


@app.cell
def _():
    def example(pattern, config, rng):
        low, high = config.padding
        n_zeros = low + int(rng.random_sample() * (high - low + 1))
        x = np.concatenate([pattern + 1e-8, np.zeros(n_zeros)])  # 1e-8: so that the digit's own zeros are none
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

    usual = flylab.MNIST1D()
    x, y = data_set(usual)
    theirs = published(usual)
    largest_difference = float(np.abs(x[: usual.n_train] - theirs.train.x).max())
    same_labels = bool((y[: usual.n_train] == theirs.train.y).all())
    mo.md(
        f"Largest difference from `flylab.published()`, which is the published data set: **{largest_difference:.1e}**. "
        f"Labels: **{'the same' if same_labels else 'different'}**."
    )
    return largest_difference, theirs


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 4 · Can you read it?

    Ten signals, one of each class, in random order. Write down the ten digits, then open the answer. A human
    reached 95.8 of 100 in five such quizzes (Greydanus & Kobak 2024).
    """)
    return


@app.cell
def _(theirs):
    def quiz(seed=7):
        rng = np.random.default_rng(seed)
        order = rng.permutation(10)
        with style():
            drawn = Figure(figsize=(10, 3))
            for letter, label, ax in zip("ABCDEFGHIJ", order, drawn.subplots(2, 5, sharey=True).ravel(), strict=True):
                ax.plot(theirs.test.x[theirs.test.y == label][seed], color="black", linewidth=1.3)
                ax.set(xticks=[], title=letter)
        return drawn, " ".join(f"{letter}{label}" for letter, label in zip("ABCDEFGHIJ", order, strict=True))

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
    ## 5 · Which knob makes it hard?

    **Predict before you look.** Ten nearest neighbours is a classifier without training: it looks up the ten most
    similar training signals. (The authors' notebook has 59.6 % for it.) Take one source of variation away at a
    time. Which one helps most?
    """)
    return


@app.cell
def _():
    guess = mo.ui.dropdown(
        ["shift", "scale", "smooth noise", "white noise", "tilt"], "smooth noise", label="what makes it hard"
    )
    guess
    return (guess,)


@app.cell
def _(preset):
    without = {
        "nothing": {},
        "shift": {"max_translation": 1},
        "scale": {"scale_coeff": 0.0},
        "smooth noise": {"corr_noise_scale": 0.0},
        "white noise": {"iid_noise_scale": 0.0},
        "tilt": {"shear_scale": 0.0},
    }
    n_sets, n_train = (2, 500) if preset == "smoke" else (5, 4000)

    def neighbours(seed, **changes):
        splits = published(flylab.MNIST1D(n_train=n_train, n_valid=0, seed=seed, **changes))
        return 100 * KNeighborsClassifier(10).fit(*splits.train).score(*splits.test)

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
    mo.md(f"You said **{guess.value}**; without **{hardest}** accuracy rises most, by {_gains[hardest]:.1f} points.")
    return (hardest,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Each data set is made twice, with the variation and without, from the same seed: the gain is paired. The
    interval is over data sets, for that is what is random here.

    A network that would be told beforehand that shifts do not matter could save itself the trouble of learning it.
    That is what a convolution is told. How much it is worth: `architectures`, `data_params`.

    ## More to try

    - Two variations away at once: do gains add up?
    - Other patterns: `flylab.MNIST1D(templates=flylab.Templates.of(your_array))`. Draw ten letters; which two will
      be confused?
    - Only two classes: `flylab.MNIST1D(classes=(4, 9))`. Which pair is the hardest?
    - From the terminal: `flylab data --iid-noise-scale 0 -o clean.npz --plot clean.png`.

    ## Further reading

    - S. Greydanus: [*Scaling down deep learning*](https://greydanus.github.io/2020/12/01/scaling-down/), 2020.
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)), section 2.
    - The docs page *data*: the same generator in JAX, endless and differentiable.
    """)
    return


@app.cell(hide_code=True)
def _(hardest, largest_difference):
    if mo.app_meta().mode == "script":
        print(f"built by hand: the published data to {largest_difference:.1e}; hardest: {hardest}")
    return


if __name__ == "__main__":
    app.run()
