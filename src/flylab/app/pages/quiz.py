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

    from flylab.app import answers, badge, classroom, keys, look, quiz, scores, server

    room = classroom.now()
    mo.Html(look.navigation("quiz"))
    return answers, badge, functools, keys, look, mo, quiz, room, scores, server


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
def _(badge, mo, room):
    # in a class, nothing is saved but the scoreboard in memory; a page knows its own sittings only
    mine, n_asked = [], [0]
    joining = mo.ui.anywidget(badge.Badge()) if room else None
    joining if room else None
    return joining, mine, n_asked


@app.cell
def _(joining, mo, n_asked, room):
    mo.stop(room is None)
    _badge, (_name, _n) = joining.widget, joining.value["asked"]
    _player = room.board.found(_badge.key or joining.value["kept"])
    _error = ""
    if _player is None and _n > n_asked[0]:
        n_asked[0] = _n
        try:
            _player = room.board.join(str(_name))
        except ValueError as error:
            _error = str(error)
    if _player or _error:
        _badge.key, _badge.name, _badge.error = (_player.key, _player.name, "") if _player else ("", "", _error)
    return


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
    mo.stop(_sitting is None or _sitting.is_over)
    mo.Html(f'<div class="flylab-keys">{digits}</div>')
    return


@app.cell
def _(digits, get_sitting, joining, mine, n_seen, quiz, room, server, set_problem, set_sitting):
    _pressed = digits.value["pressed"]
    _sitting = get_sitting()
    for _digit in _pressed[n_seen[0] :]:
        if _sitting is not None and not _sitting.is_over:
            _sitting = _sitting.undone() if _digit < 0 else _sitting.answered(_digit)
            if not _sitting.is_over or _sitting.is_practice:
                continue
            if room:
                mine.append(_sitting)
                if (_player := room.board.found(joining.widget.key)) is not None:
                    room.board.record(_player, _sitting)
                continue
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
def _(get_sitting, mo, room):
    _sitting = get_sitting()
    mo.stop(room is None or (_sitting is not None and not _sitting.is_over))
    tick = mo.ui.refresh(default_interval=5)
    mo.Html(f'<div style="display:none">{tick}</div>')
    return (tick,)


@app.cell
def _(arrangement, joining, mo, room, scores, tick):
    tick  # runs this cell again
    _badge, _player = joining.widget, room.board.found(joining.widget.key)
    if _badge.key and _player is None:
        _badge.key, _badge.name, _badge.error = "", "", "this nickname was removed; choose another one"
    mo.Html(scores.standing(room.board, _player, arrangement.value) + scores.drawn(room.board, arrangement.value))
    return


@app.cell
def _(answers, functools, get_sitting, mine, mo, quiz, room, server):
    get_sitting()  # runs this cell again after each sitting
    _sittings = list(mine) if room else quiz.load(server.out())
    _where = "nowhere: they are gone with this page" if room else "on this machine only"
    mo.stop(not _sittings, mo.md(f"Your answers are saved {_where}."))
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
