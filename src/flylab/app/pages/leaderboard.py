# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The leaderboard: the continuum of spatial priors, with the models that the user evaluated."""

import marimo

app = marimo.App(width="medium", app_title="flylab: leaderboard")


@app.cell
def _():
    import marimo as mo

    from flylab.app import board, look, server
    from flylab.evaluation.leaderboard import leaderboard

    mo.Html(look.navigation("leaderboard"))
    return board, leaderboard, look, mo, server


@app.cell
def _(mo):
    mo.md(
        """
        # The continuum of spatial priors

        The accuracy that a model loses when all positions are shuffled measures what it assumed about them. On this
        scale, the MLP is 0 and the CNN is 1. To add your own model, run

        ```sh
        flylab evaluate my_model.py:Net quick
        ```
        """
    )
    return


@app.cell
def _(mo):
    by = mo.ui.radio(["score", "accuracy"], "score", label="sort by", inline=True)
    again = mo.ui.button(value=0, on_click=lambda n: n + 1, label="Reload")
    mo.hstack([by, again], justify="start", wrap=True, align="center")
    return again, by


@app.cell
def _(again, by, leaderboard, mo, server):
    again.value  # runs this cell again
    _problem, entries = "", []
    try:
        entries = leaderboard(server.out(), by.value)
    except (ValueError, OSError) as error:
        _problem = str(error)
    mo.callout(_problem, kind="danger") if _problem else None
    return (entries,)


@app.cell
def _(board, entries, mo):
    mo.stop(not entries)
    mo.Html(board.chart(entries))
    return


@app.cell
def _(board, entries, mo):
    mo.Html(board.table(entries))
    return


if __name__ == "__main__":
    app.run()
