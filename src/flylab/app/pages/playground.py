# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The playground: change the data parameters, train networks side by side, and see what they get wrong."""

import marimo

app = marimo.App(width="full", app_title="flylab: playground")


@app.cell
def _():
    import functools

    import marimo as mo

    from flylab.app import downloads, drawing, limits, look, settings, state
    from flylab.app.background import Training, prepare
    from flylab.app.rail import Rail
    from flylab.models import model_title

    mo.Html(look.navigation("playground"))
    return Rail, Training, downloads, drawing, functools, limits, look, mo, model_title, prepare, settings, state


@app.cell
def _(Rail, Training, mo, state):
    _address = mo.query_params()
    _keys = str(_address.get("runs", "")).split(",")[:8]
    _found = tuple(training for key in _keys if (training := Training.found(key)) is not None)
    get_shown, set_shown = mo.state(_found)  # trainings on the page, the last one unpinned
    get_over, set_over = mo.state(())
    get_refusal, set_refusal = mo.state("")
    rail = mo.ui.anywidget(Rail(state.read(_address), tuple(training.key for training in _found)))
    last = [state.settings_of(state.usual()), 0]  # valid settings, and the number of buttons pressed so far
    mo.Html(f'<div class="flylab-rail">{rail}</div>')
    return get_over, get_refusal, get_shown, last, rail, set_over, set_refusal, set_shown


@app.cell
def _(get_refusal, last, rail, state):
    # errors stand at their fields; what is shown stays that of the last valid settings
    _problems = {"": get_refusal()} if get_refusal() else {}
    try:
        last[0] = state.settings_of(rail.value["values"])
        is_valid = True
    except ValueError as error:
        _problems |= state.problems(error)
        is_valid = False
    chosen = last[0]
    data = chosen.data
    rail.widget.tell(errors=_problems)
    return chosen, data, is_valid


@app.cell
def _(Training, chosen, get_shown, is_valid, last, rail, set_refusal, set_shown, state):
    _command, _n = rail.value["command"]
    if _n > last[1]:
        last[1] = _n
        _shown = get_shown()
        set_refusal("")
        try:
            if _command in ("train", "beside") and is_valid:
                _kept, _wanted = _shown[:-1], [chosen]
                if _command == "beside":
                    _other = state.settings_of({**rail.value["values"], "shuffled": not chosen.data.shuffle_seq})
                    _kept, _wanted = (), [_other, chosen]
                for _training in _shown[len(_kept) :]:
                    if not _training.is_over and _training.settings not in _wanted:
                        _training.stop()
                _new = Training.all_of(_wanted)
                set_shown((*(one for one in _kept if one not in _new), *_new))
            elif _command == "stop":
                set_shown(tuple(_training if _training.is_over else _training.stop() for _training in _shown))
            elif _command == "pin" and _shown:
                set_shown((*_shown, _shown[-1]))
            elif _command == "unpin":
                set_shown(_shown[-1:])
        except ValueError as error:
            set_refusal(str(error))
    return


@app.cell
def _(data, mo):
    _classes = data.patterns.y
    _usual = str(_classes[min(3, len(_classes) - 1)])
    shown = mo.ui.dropdown({str(k): i for i, k in enumerate(_classes)}, _usual, label="How an example is made: class")
    another = mo.ui.button(value=0, on_click=lambda n: n + 1, label="Another draw")
    mo.hstack([shown, another], justify="start", wrap=True, align="center")
    return another, shown


@app.cell
def _(another, data, drawing, mo, shown):
    mo.Html(drawing.construction(data, shown.value, another.value))
    return


@app.cell
def _(data, drawing, look, mo, prepare, settings):
    _drawn = drawing.examples(settings.splits(data), data)
    prepare()  # now that the page is there
    mo.Html(look.titled(f"Training examples, standardised ({data.n_train} in all)", _drawn))
    return


@app.cell
def _(get_over, get_shown, limits, mo):
    # refresh while a training on the page is running
    tick = mo.ui.refresh(default_interval=limits.now().refresh) if get_over() != get_shown() else None
    mo.Html(f'<div style="display:none">{tick}</div>') if tick is not None else None
    return (tick,)


@app.cell
def _(chosen, drawing, get_over, get_shown, mo, rail, set_over, state, tick):
    tick  # runs this cell again
    _all = tuple(dict.fromkeys(get_shown()))  # a pinned run that is also the last one is drawn once
    if all(training.is_over for training in _all) and get_over() != get_shown():
        set_over(get_shown())
    _differs = state.differences(_all[-1].settings, chosen) if _all else []
    rail.widget.tell(
        runs=[training.key for training in get_shown()],
        status=drawing.status(get_shown(), state.values_of(_all[-1].settings) if _differs else None),
    )
    mo.stop(not _all, mo.Html(drawing.learnt("<p>Press <b>Train</b>: learning curves will appear here, each with a "
                                             "band over seeds.</p>")))  # fmt: skip
    mo.Html(drawing.results(drawing.runs_of(_all), _differs))
    return


@app.cell
def _(get_over, mo, model_title):
    _all = get_over()
    mo.stop(not _all or not _all[-1].populations)
    _titles = {model_title(name): name for name in _all[-1].populations} | {"training curves": ""}
    looked_at = mo.ui.radio(_titles, next(iter(_titles)), inline=True, label="Look at")
    looked_at
    return (looked_at,)


@app.cell
def _(chosen, drawing, get_over, look, looked_at, mo):
    _all, _name = tuple(dict.fromkeys(get_over())), looked_at.value
    mo.stop(not _all or _name not in (*_all[-1].populations, ""))
    if _name:
        _drawn = drawing.mistakes(_all[-1], _name)
    else:
        _runs = drawing.runs_of(_all)
        _drawn = look.row(drawing.curves(_runs, "accuracy", "train"), drawing.curves(_runs, "loss", "train"))
    mo.Html(f'<div class="{"flylab-stale" if _all[-1].settings != chosen else ""}">{_drawn}</div>')
    return


@app.cell
def _(downloads, functools, get_over, mo, settings):
    # all of these belong to the run on the page, whatever the controls say now
    _all = get_over()
    mo.stop(not _all)
    _training = _all[-1]
    _files = {"data": ("mnist1d.npz", functools.partial(downloads.data, _training.settings.data))}
    if _training.phase == "done":
        _files["weights"] = "weights.safetensors", functools.partial(downloads.weights, _training)
        _files["results"] = "results.nc", functools.partial(downloads.results, _training)
    _program = settings.as_python(_training.settings)
    mo.vstack(
        [
            mo.accordion(
                {"Copy as Python": mo.ui.code_editor(_program, language="python", disabled=True, show_copy_button=True)}
            ),
            mo.hstack(
                [
                    mo.md("Download:"),
                    *(
                        mo.download(make, filename=file, label=f"{name} (.{file.rpartition('.')[2]})")
                        for name, (file, make) in _files.items()
                    ),
                ],
                justify="start",
                wrap=True,
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
