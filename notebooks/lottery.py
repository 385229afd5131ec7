import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="flylab: lottery")

with app.setup:
    import os

    import marimo as mo
    from matplotlib.figure import Figure

    import flylab
    from flylab.models.masks import first_layer
    from flylab.reporting import notebook
    from flylab.results.plots import COLOURS, style
    from flylab.studies import lottery


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Lottery tickets: what does a good sparse network know?

    Train a network, prune its smallest weights, reset the surviving weights to their initial values, and train again.
    The sparse network often learns as well as the dense one. A *random* network of the same sparsity does not.
    Frankle & Carbin (2019) called the sparse network a winning ticket: its initial weights happened to be right.

    But what exactly makes a ticket win? Its initial weights? Or its pattern of connections? On MNIST-1D we can find
    out.
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

    - Frankle & Carbin: with new initial weights, the ticket loses its advantage. **The weights** matter.
    - Greydanus & Kobak (2024): with new weights, the ticket is still better than the dense network, but not on
      *shuffled* positions. And the weights that survive in the first layer are adjacent more often than by chance.
      **The pattern** matters: pruning has discovered that positions have neighbours.

    The two groups cannot both be right about these networks, and the evidence for the second view is a handful of
    runs. Moreover, in today's version of the authors' notebooks, a helper that should seed PyTorch no longer does so:
    "rewound" tickets in fact start from new weights.

    ## Predict before you look

    We train networks with 92 % of their weights pruned, on *fresh* data that the search for the ticket never saw:
    """)
    return


@app.cell
def _():
    guess_ticket = mo.ui.slider(-10, 20, value=2, label="ticket − dense network, in points", show_value=True)
    guess_ticket
    return (guess_ticket,)


@app.cell
def _():
    guess_reinit = mo.ui.slider(
        -10, 20, value=0, label="ticket with new initial weights − dense network", show_value=True
    )
    guess_reinit
    return (guess_reinit,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Run

    Each seed is a whole search for a ticket, so this study takes the longest. You can interrupt it, and run the cell
    again to resume.
    """)
    return


@app.cell(hide_code=True)
def _(preset):
    mo.md(
        f"Preset **{preset.value}**: about {lottery.STUDY.minutes[preset.value]:g} minutes on two cores "
        "the first time; after that, the results are loaded."
    )
    return


@app.cell
def _(out, preset):
    results = flylab.run("lottery", preset.value, out)
    notebook.folded(notebook.figure(results), title="Show the figure")
    return (results,)


@app.cell(hide_code=True)
def _(guess_reinit, guess_ticket, results):
    notebook.folded(
        mo.md(
            f"""
    - **Ticket − dense.** {notebook.answer(results, "beats-dense-fresh", guess_ticket.value)}
    - **With new weights.** {notebook.answer(results, "reinit", guess_reinit.value)}
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
    ## Reading the error bars

    There are only a few seeds, because each one costs a whole search. So intervals are wide, and some verdicts are
    *undecided*. This does not mean "no effect". It means that these data are compatible with the claim and with its
    opposite. `flylab claims` says how many more seeds would settle it, and `n_seeds=` trains only the new ones.

    Note how the study asks "why". Each hypothesis has its own control: a random mask (is it sparsity?), new initial
    weights (is it the initialisation?), shuffled data (is it the neighbourhood?); the preset `paper` has more. The
    single number ticket − dense would have supported all three explanations.

    ## An experiment: look at the ticket

    For each input position, count the connections that survived in the first layer. Random pruning would spread them
    evenly.
    """)
    return


@app.cell
def _(results):
    mask = first_layer(lottery.mask(results))  # (hidden units, positions)

    def survivors(mask):
        with style():
            figure = Figure(figsize=(9, 3.4))
            left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
            left.bar(range(mask.shape[1]), mask.sum(0), color=COLOURS[1])
            left.axhline(mask.sum() / mask.shape[1], color="0.4", linestyle="--", label="evenly spread")
            left.set(xlabel="input position", ylabel="surviving connections", title="Where connections survive")
            left.set_ylim(0, 1.25 * mask.sum(0).max())
            left.legend(loc="upper right")
            order = mask.sum(1).argsort()[::-1][:40]
            right.imshow(mask[order], aspect="auto", cmap="gray_r", interpolation="nearest")
            right.set(
                xlabel="input position", ylabel="hidden unit (by survivors)", title="The units with most connections"
            )
            right.grid(False)
            right.yaxis.get_major_locator().set_params(integer=True)
        return figure

    notebook.figure(survivors(mask), "surviving connections of the ticket by input position, and its densest units")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Black is a connection. Do you see runs of neighbours? Your eyes find runs in noise, too. That is why the claim
    counts runs of 2, 3 and 4, and compares them with random masks that have the *same number of connections per unit
    and per input position*. Without the second condition, a unit's connections would be neighbours just because the
    edges of the signal have few.

    ## More to try

    - `flylab.run("lottery", preset.value, out, controls=("moved",))` moves each unit's connections, with their weights,
      to random positions. Is it the positions?
    - `data=flylab.MNIST1D(permutation=flylab.data.shuffled(40))` searches on shuffled data. What will happen to
      adjacency?
    - `scope="global"` and `rewind_to=100` follow later work. Which claims change?
    - `continuum` has a ticket among its models. Where is it between MLP and CNN?

    ## Further reading

    - J. Frankle, M. Carbin: *The lottery ticket hypothesis*, ICLR 2019 ([arXiv
      1803.03635](https://arxiv.org/abs/1803.03635)).
    - H. Zhou et al.: *Deconstructing lottery tickets*, NeurIPS 2019 ([arXiv
      1905.01067](https://arxiv.org/abs/1905.01067)).
    - B. Neyshabur: *Towards learning convolutions from scratch*, NeurIPS 2020 ([arXiv
      2007.13657](https://arxiv.org/abs/2007.13657)).
    - S. Greydanus, D. Kobak, ICML 2024 ([arXiv 2011.14439](https://arxiv.org/abs/2011.14439)), section 4.1.
    """)
    return


@app.cell(hide_code=True)
def _(results):
    if mo.app_meta().mode == "script":
        print(notebook.claims(results))
    return


if __name__ == "__main__":
    app.run()
