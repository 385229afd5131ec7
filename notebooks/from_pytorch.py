import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: from pytorch")

with app.setup:
    import os
    import time

    import jax
    import marimo as mo
    import numpy as np
    import torch
    from torch import nn
    from torch.utils.data import DataLoader

    import flylab
    from flylab.adapters.torch import MNIST1D
    from flylab.adapters.weights import state_dict
    from flylab.models import convolutional, layers
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus

    torch.set_num_threads(1)  # in networks so small, threads only wait for each other


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # From PyTorch

    You have a training loop in PyTorch, and it works. What would you gain here? Not another way to write a network.
    You gain the second seed, and the twentieth: with networks so small, most of a PyTorch loop's time is overhead,
    and a *population* of them in one compiled program takes hardly longer than one in a loop.

    This notebook takes a PyTorch network, measures that on your machine, and carries the weights back.
    """)
    return


@app.cell
def _():
    preset = os.environ.get("FLYLAB_PRESET", "quick")  # "smoke" for a quick try
    n_epochs, n_seeds = (2, 2) if preset == "smoke" else (25, 10)
    return n_epochs, n_seeds


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 1 · Your loop, these data

    `flylab.adapters.torch.MNIST1D` is a `Dataset` in torchvision's manner. Everything else is yours.
    """)
    return


@app.cell
def _(n_epochs):
    class CNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv1d(1, 25, 5, 2, 1), nn.Conv1d(25, 25, 3, 2, 1)
            self.conv3, self.output = nn.Conv1d(25, 25, 3, 2, 1), nn.Linear(125, 10)

        def forward(self, x):  # (batch, 40) → (batch, 10)
            h = self.conv2(self.conv1(x[:, None]).relu()).relu()
            return self.output(self.conv3(h).relu().flatten(1))

    def accuracy(network):
        test = MNIST1D(train=False)
        with torch.no_grad():
            return 100 * (network(test.data).argmax(1) == test.targets).float().mean().item()

    signals = MNIST1D(train=True)

    def loop(seed):
        torch.manual_seed(seed)
        network = CNN()
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(n_epochs):
            for signal, label in DataLoader(signals, batch_size=100, shuffle=True):
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(signal), label).backward()
                optimizer.step()
        return network

    _begun = time.perf_counter()
    theirs = accuracy(loop(0))
    seconds_loop = time.perf_counter() - _begun
    mo.md(
        f"One network, {n_epochs} epochs: **{seconds_loop:.1f} s**, test accuracy {theirs:.1f} %. "
        "How sure are you of it?"
    )
    return CNN, accuracy, seconds_loop, theirs


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 2 · Predict before you look
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(1, 200, value=10, label="one network in flylab is how many times as fast?", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 3 · The same network, a population

    The same network is in flylab's models, with PyTorch's initialisation. Two functions for *one* signal would do as
    well; they are written down here to show that there is no magic.
    """)
    return


@app.cell
def _(n_epochs, n_seeds):
    def init(key):
        a, b, c, d = jax.random.split(key, 4)
        return {
            "conv1": layers.conv1d_init(a, 1, 25, 5),
            "conv2": layers.conv1d_init(b, 25, 25, 3),
            "conv3": layers.conv1d_init(c, 25, 25, 3),
            "output": layers.linear_init(d, 125, 10),
        }

    def apply(params, x):  # (40,) → (10,)
        h = x[None]
        for name in ("conv1", "conv2", "conv3"):
            h = jax.nn.relu(layers.conv1d(params[name], h, stride=2, padding=1))
        return layers.linear(params["output"], h.ravel())

    plan = flylab.Plan(40 * n_epochs, batch_size=100, shuffle=True)
    grid = {"learning_rate": [1e-2], "seed": range(n_seeds)}

    def timed(model):
        """A population's results, and the seconds per network; the first training compiles and does not count."""
        objective, splits = flylab.supervised(model), flylab.published()
        flylab.train_members(objective, splits, plan, grid | {"seed": [0]})
        begun = time.perf_counter()
        population = flylab.train_members(objective, splits, plan, grid)
        return population, (time.perf_counter() - begun) / n_seeds

    own, seconds_own = timed(flylab.Model(init, apply))
    zoos, seconds_zoo = timed(convolutional.cnn())
    ours = zoos.results.test_accuracy.isel(learning_rate=0, step=-1)
    return ours, own, seconds_own, seconds_zoo, zoos


@app.cell
def _(n_epochs, ours, own, seconds_loop, seconds_own, seconds_zoo, theirs):
    notebook.table(
        flylab.study.Table(
            f"{n_epochs} epochs of 4000 signals on this machine",
            ("", "seconds per network", "times as fast as the loop", "test accuracy (%)"),
            [
                ("PyTorch loop", f"{seconds_loop:.2f}", "1", f"{theirs:.1f} (one seed)"),
                (
                    "your two functions",
                    f"{seconds_own:.3f}",
                    f"{seconds_loop / seconds_own:.0f}",
                    plus_minus(own.results.test_accuracy.isel(learning_rate=0, step=-1)),
                ),
                ('get_model("cnn")', f"{seconds_zoo:.3f}", f"{seconds_loop / seconds_zoo:.0f}", plus_minus(ours)),
            ],
        )
    )
    return


@app.cell(hide_code=True)
def _(guess, seconds_loop, seconds_zoo):
    _factor = seconds_loop / seconds_zoo
    mo.md(
        f"You said {guess.value}; measured: **{_factor:.0f}** (timed once, whatever else this machine was doing: "
        "a rough number)."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 4 · What one seed would have told you
    """)
    return


@app.cell
def _(n_seeds, ours):
    lowest, highest = float(ours.min()), float(ours.max())
    mo.md(
        f"Over {n_seeds} seeds test accuracy lies between {lowest:.1f} and {highest:.1f} %; its mean is "
        f"{plus_minus(ours)} %. Two networks, one seed each, may differ by {highest - lowest:.1f} points and be the "
        "same network. Train one, and you have one of these values and do not know which."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 5 · And back

    One member's weights, by the names and in the shapes of PyTorch's layers: `load_state_dict` takes them. (To a
    file: `flylab.adapters.weights.save_weights`.)
    """)
    return


@app.cell
def _(CNN, accuracy, ours, zoos):
    member = jax.tree.map(lambda leaf: leaf[0, 0], zoos.params)  # learning rate 0, seed 0
    network = CNN()
    network.load_state_dict({name: torch.tensor(np.asarray(leaf)) for name, leaf in state_dict(member).items()})
    carried = accuracy(network)
    mo.md(f"Seed 0: **{float(ours[0]):.1f} %** in flylab, **{carried:.1f} %** in PyTorch.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 6 · Your module as it is

    Need not be rewritten to be *measured*: `flylab.evaluate` trains a PyTorch module in a plain loop, seed by seed,
    and places it among flylab's models. It takes a few minutes:

    ```python
    found = flylab.evaluate(CNN, name="my-torch-cnn", preset="quick")
    ```

    ## Cheat sheet

    | PyTorch | flylab |
    |---|---|
    | `nn.Module` with state | `init(key)` → parameters; `apply(params, x)` for one example |
    | `torch.manual_seed(0)` | a key for every seed; named streams |
    | `for batch in loader: …` | `flylab.Plan(n_steps, batch_size, shuffle=…)` |
    | a loop over seeds and rates | `{"learning_rate": […], "seed": range(10)}` |
    | `loss.item()` lists | an `xarray.Dataset` with names and units |
    | `DataLoader` over endless data | `flylab.endless(config)`, made within the step |

    ## More to try

    - `shuffle=False` in the plan, as the published protocol has it: is it any worse?
    - An MLP in place of the CNN: is the ratio larger or smaller? Why? (README has the measured ones.)
    - At which width of the network does PyTorch catch up?

    ## Further reading

    - The docs page *in PyTorch*: endless data, weights as files.
    - J. Bradbury et al.: [JAX](https://docs.jax.dev), and its "thinking in JAX".
    """)
    return


@app.cell(hide_code=True)
def _(ours, seconds_loop, seconds_zoo):
    if mo.app_meta().mode == "script":
        print(f"one network: {seconds_loop:.1f} s in the loop, {seconds_zoo:.2f} s here; {plus_minus(ours)} %")
    return


if __name__ == "__main__":
    app.run()
