# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The human quiz: classify test examples, and compare yourself with networks."""

import marimo

app = marimo.App(width="medium", app_title="flylab: human quiz")


@app.cell
def _():
    import functools

    import marimo as mo

    from flylab.app import answers, keys, look, quiz, server

    mo.Html(look.navigation("quiz"))
    return answers, functools, keys, look, mo, quiz, server


@app.cell
def _(get_sitting, mo):
    mo.stop(get_sitting() is not None)  # room for the example
    mo.md(
        """
        # Can you read MNIST-1D?

        One of the paper's authors read 95.8 % of the test examples correctly. Look at the signal, and press its digit
        on your keyboard, or click the button. You may look at the ten templates; the author had them, too. In practice,
        each answer is corrected at once, and nothing counts.
        """
    )
    return


@app.cell
def _(mo):
    get_sitting, set_sitting = mo.state(None)
    get_problem, set_problem = mo.state("")
    return get_problem, get_sitting, set_problem, set_sitting


@app.cell
def _(mo, quiz):
    length = mo.ui.dropdown({f"{n} examples": n for n in quiz.LENGTHS}, "10 examples", label="how many")
    arrangement = mo.ui.dropdown(list(quiz.ARRANGEMENTS), "plain", label="positions")
    practice = mo.ui.switch(label="practice")
    return arrangement, length, practice


@app.cell
def _(arrangement, length, mo, practice, quiz, set_problem, set_sitting):
    def _begin(_):
        set_problem("")
        set_sitting(quiz.Sitting.begun(length.value, arrangement.value, is_practice=practice.value))

    begin_button = mo.ui.button(label="Begin", kind="success", on_click=_begin, keyboard_shortcut="Ctrl-Enter")
    mo.hstack([length, arrangement, practice, begin_button], justify="start", wrap=True, align="end")
    return (begin_button,)


@app.cell
def _(answers, get_sitting, mo):
    _sitting = get_sitting()
    mo.stop(_sitting is None or _sitting.is_over)
    mo.Html(answers.question(_sitting))
    return


@app.cell
def _(keys, mo):
    digits = mo.ui.anywidget(keys.Digits())
    n_seen = [0]  # number of pressed digits that have been processed
    return digits, n_seen


@app.cell
def _(digits, get_sitting, mo):
    _sitting = get_sitting()
    digits if _sitting is not None and not _sitting.is_over else mo.md("")
    return


@app.cell
def _(digits, get_sitting, n_seen, quiz, server, set_problem, set_sitting):
    _pressed = digits.value["pressed"]
    _sitting = get_sitting()
    for _digit in _pressed[n_seen[0] :]:
        if _sitting is not None and not _sitting.is_over:
            _sitting = _sitting.undone() if _digit < 0 else _sitting.answered(_digit)
            if _sitting.is_over and not _sitting.is_practice:
                try:
                    quiz.save(server.out(), _sitting)
                except OSError as error:
                    set_problem(str(error))
    if len(_pressed) > n_seen[0]:
        n_seen[0] = len(_pressed)
        set_sitting(_sitting)
    return


@app.cell
def _(get_problem, mo):
    mo.callout(f"Your answers could not be saved: {get_problem()}", kind="warn") if get_problem() else None
    return


@app.cell
def _(answers, get_sitting, mo):
    _sitting = get_sitting()
    mo.stop(_sitting is None or not _sitting.is_over)
    mo.Html(answers.sitting(_sitting))
    return


@app.cell
def _(answers, functools, get_sitting, mo, quiz, server):
    get_sitting()  # runs this cell again after each sitting
    _sittings = quiz.load(server.out())
    mo.stop(not _sittings, mo.md("Your results are saved on this machine only."))
    mo.vstack(
        [
            mo.Html(answers.sittings(_sittings)),
            mo.hstack(
                [
                    mo.download(
                        functools.partial(quiz.exported, _sittings),
                        filename="quiz.csv",
                        label="all your answers (.csv)",
                    )
                ],
                justify="start",
            ),
        ]
    )
    return


@app.cell
def _(answers, get_sitting, look, mo):
    _sitting = get_sitting()
    mo.stop(_sitting is not None and not _sitting.is_over)  # then they stand beside the example
    mo.Html(look.titled("The ten templates", answers.templates()))
    return


if __name__ == "__main__":
    app.run()
