# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""A class's page for its teacher, to be projected: link and QR code, who waits, and the scoreboard."""

import marimo

app = marimo.App(width="medium", app_title="flylab: class")


@app.cell
def _():
    import marimo as mo

    from flylab.app import classroom, look, scores
    from flylab.app.background import Training

    room = classroom.now()
    mo.Html(look.navigation("class"))
    return Training, look, mo, room, scores


@app.cell
def _(look, mo, room):
    _size = "font-size: clamp(1.2rem, 3.4vw, 2.6rem); line-height: 1.3; overflow-wrap: anywhere; margin: .5rem 0"
    _steps = "Open this address in a browser, or point a phone's camera at the code. Nothing has to be installed."
    _code = f'<div style="max-width: 19rem" role="img" aria-label="QR code of the link">{room.picture()}</div>'
    mo.Html(f'<p style="{_size}"><b>{look.text(room.link)}</b></p><p>{_steps}</p>{_code}')
    return


@app.cell
def _(mo):
    arrangement = mo.ui.radio(["plain", "shuffled"], "plain", label="scoreboard of examples", inline=True)
    tick = mo.ui.refresh(default_interval=3)
    get_changed, set_changed = mo.state(0)
    mo.vstack([arrangement, mo.Html(f'<div style="display:none">{tick}</div>')])
    return arrangement, get_changed, set_changed, tick


@app.cell
def _(Training, arrangement, get_changed, mo, room, scores, tick):
    tick, get_changed()  # run this cell again
    _waiting = sum(training.place > 0 for training in tuple(Training.running))
    _said = f"Open pages: {room.door.n_open}. Trainings: {len(Training.running) - _waiting} run, {_waiting} wait."
    mo.Html(f'<p role="status">{_said}</p>{scores.drawn(room.board, arrangement.value)}')
    return


@app.cell
def _(mo):
    nickname = mo.ui.text(label="nickname")
    remove = mo.ui.run_button(label="Remove from the scoreboard")
    clear = mo.ui.run_button(label="Clear the scoreboard", kind="warn")
    mo.hstack([nickname, remove, clear], justify="start", wrap=True, align="end")
    return clear, nickname, remove


@app.cell
def _(clear, nickname, remove, room, set_changed):
    if remove.value:
        room.board.remove(nickname.value)
    if clear.value:
        room.board.clear()
    if remove.value or clear.value:
        set_changed(lambda n: n + 1)
    return


if __name__ == "__main__":
    app.run()
