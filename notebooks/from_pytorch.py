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
    from flylab.models import layers
    from flylab.reporting import notebook
    from flylab.results.statistics import plus_minus

    torch.set_num_threads(1)  # for networks this small, more threads only cost time


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # From PyTorch

    You have a training loop in PyTorch, and it works. What would you gain here? Not another way to write a network.
    You gain the second seed, and the twentieth. For networks this small, a PyTorch loop spends most of its time on
    overhead. flylab trains a *population* of networks in one compiled program, in hardly more time than the loop
    needs for one.

    This notebook takes a PyTorch network, measures the difference on your machine, and moves the trained weights back
    to PyTorch.
    """)
    return


@app.cell
def _():
    preset = os.environ.get("FLYLAB_PRESET", "quick")  # "smoke" only checks that everything works
    n_epochs, n_seeds = (2, 2) if preset == "smoke" else (25, 10)
    return n_epochs, n_seeds


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 1 · Your loop on MNIST-1D

    `flylab.adapters.torch.MNIST1D` is a `Dataset` in the style of torchvision. Everything else here is plain PyTorch.
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

    _start = time.perf_counter()
    loop_accuracy = accuracy(loop(0))
    loop_seconds = time.perf_counter() - _start
    mo.md(
        f"One network, {n_epochs} epochs: **{loop_seconds:.1f} s**, test accuracy {loop_accuracy:.1f} %. "
        "How sure are you of this accuracy?"
    )
    return CNN, accuracy, loop_accuracy, loop_seconds


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 2 · Predict before you look
    """)
    return


@app.cell
def _():
    guess = mo.ui.slider(1, 200, value=10, label="how many times as fast is flylab, per network?", show_value=True)
    guess
    return (guess,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 3 · The same network, a population

    flylab has the same network among its models, with PyTorch's initialisation: `flylab.get_model("cnn")`. Two
    functions for *one* signal work as well. They are written out here to show that there is no magic.
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
        """Return a trained population and the seconds per network, without those of compiling."""
        objective, splits = flylab.supervised(model), flylab.published()
        flylab.train_members(objective, splits, plan, grid | {"seed": [0]})  # compile
        start = time.perf_counter()
        population = flylab.train_members(objective, splits, plan, grid)
        return population, (time.perf_counter() - start) / n_seeds

    functions_population, functions_seconds = timed(flylab.Model(init, apply))
    cnn_population, cnn_seconds = timed(flylab.get_model("cnn"))
    cnn_accuracy = cnn_population.results.test_accuracy.isel(learning_rate=0, step=-1)
    return cnn_accuracy, cnn_population, cnn_seconds, functions_population, functions_seconds


@app.cell
def _(
    cnn_accuracy,
    cnn_seconds,
    functions_population,
    functions_seconds,
    loop_accuracy,
    loop_seconds,
    n_epochs,
):
    notebook.table(
        flylab.study.Table(
            f"{n_epochs} epochs of 4000 signals on this machine",
            ("", "seconds per network", "times as fast as the loop", "test accuracy (%)"),
            [
                ("PyTorch loop", f"{loop_seconds:.2f}", "1", f"{loop_accuracy:.1f} (one seed)"),
                (
                    "your two functions",
                    f"{functions_seconds:.3f}",
                    f"{loop_seconds / functions_seconds:.0f}",
                    plus_minus(functions_population.results.test_accuracy.isel(learning_rate=0, step=-1)),
                ),
                (
                    'get_model("cnn")',
                    f"{cnn_seconds:.3f}",
                    f"{loop_seconds / cnn_seconds:.0f}",
                    plus_minus(cnn_accuracy),
                ),
            ],
        )
    )
    return


@app.cell(hide_code=True)
def _(cnn_seconds, guess, loop_seconds):
    notebook.folded(
        mo.md(
            f"You said {guess.value}; measured: **{loop_seconds / cnn_seconds:.0f}**. This is a rough number: it was "
            "timed once, and other programs on this machine affect it."
        ),
        title="Compare with your prediction",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 4 · What one seed would have told you
    """)
    return


@app.cell
def _(cnn_accuracy, n_seeds):
    lowest, highest = float(cnn_accuracy.min()), float(cnn_accuracy.max())
    mo.md(
        f"Over {n_seeds} seeds, test accuracy ranges from {lowest:.1f} to {highest:.1f} %; its mean is "
        f"{plus_minus(cnn_accuracy)} %. Train the same network twice, with two seeds, and the accuracies may differ by "
        f"{highest - lowest:.1f} points. Train it once, and you get one of these values, and do not know which."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 5 · And back

    `state_dict` gives one member's weights the names and shapes of PyTorch's layers, and `load_state_dict` reads them.
    (To write them to a file, use `flylab.adapters.weights.save_weights`.)
    """)
    return


@app.cell
def _(CNN, accuracy, cnn_accuracy, cnn_population):
    member = jax.tree.map(lambda leaf: leaf[0, 0], cnn_population.params)  # the only learning rate, seed 0
    network = CNN()
    network.load_state_dict({name: torch.tensor(np.asarray(leaf)) for name, leaf in state_dict(member).items()})
    torch_accuracy = accuracy(network)
    mo.md(f"Seed 0: **{float(cnn_accuracy[0]):.1f} %** in flylab, **{torch_accuracy:.1f} %** in PyTorch.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## 6 · Your module as it is

    You need not rewrite a module to *measure* it. `flylab.evaluate` trains a PyTorch module in a plain loop, seed by
    seed, and compares it with flylab's models. It takes a few minutes:

    ```python
    evaluation = flylab.evaluate(CNN, name="my-torch-cnn", preset="quick")
    ```

    ## Cheat sheet

    | PyTorch | flylab |
    |---|---|
    | `nn.Module` with state | `init(key)` → parameters; `apply(params, x)` for one example |
    | `torch.manual_seed(0)` | a random key for every seed, and named streams of random numbers |
    | `for batch in loader: …` | `flylab.Plan(n_steps, batch_size, shuffle=…)` |
    | a loop over seeds and rates | `{"learning_rate": […], "seed": range(10)}` |
    | lists of `loss.item()` | an `xarray.Dataset` with named dimensions and units |
    | `DataLoader` over endless data | `flylab.endless(config)`, generated within each step |

    ## More to try

    - Use `shuffle=False` in the plan, like the published protocol. Is it any worse?
    - Use an MLP in place of the CNN. Is the ratio larger or smaller? Why? (The README has our measurements.)
    - At which width of the network does PyTorch catch up?

    ## Further reading

    - The docs page *in PyTorch* covers endless data, and weights as files.
    - J. Bradbury et al.: [JAX](https://docs.jax.dev), and its guide "thinking in JAX".
    """)
    return


@app.cell(hide_code=True)
def _(cnn_accuracy, cnn_seconds, loop_seconds):
    if mo.app_meta().mode == "script":
        print(f"one network: {loop_seconds:.1f} s in PyTorch, {cnn_seconds:.2f} s in flylab")
        print(f"test accuracy in flylab: {plus_minus(cnn_accuracy)} %")
    return


if __name__ == "__main__":
    app.run()
