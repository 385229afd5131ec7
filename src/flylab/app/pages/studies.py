# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The studies: question, interactive figure, claims with verdicts, provenance, and runs started from the page."""

import marimo

app = marimo.App(width="medium", app_title="flylab: studies")


@app.cell
def _():
    import json

    import marimo as mo

    from flylab.app import explorer, look, running, server, stored
    from flylab.study import get_study, list_studies

    mo.Html(look.navigation("studies"))
    return explorer, get_study, json, list_studies, look, mo, running, server, stored


@app.cell
def _(list_studies, mo):
    study = mo.ui.dropdown({name.replace("_", " "): name for name in list_studies()}, "architectures", label="study")
    mo.md("# Every published claim, tested")
    return (study,)


@app.cell
def _(mo):
    get_running, set_running = mo.state(None)
    get_over, set_over = mo.state(None)
    get_refusal, set_refusal = mo.state("")
    return get_over, get_refusal, get_running, set_over, set_refusal, set_running


@app.cell
def _(get_running, get_study, mo, running, server, set_over, set_refusal, set_running, study):
    _presets = [name for name in ("smoke", "quick") if name in get_study(study.value).presets]
    preset = mo.ui.dropdown(_presets, "quick" if "quick" in _presets else _presets[0], label="preset")

    def _begin(_):
        if (before := get_running()) is not None and not before.is_over:
            set_refusal("A study is running already; stop it first.")
            return
        try:
            set_running(running.Running(study.value, preset.value, server.out()))
            set_over(None)
            set_refusal("")
        except (ValueError, OSError) as error:
            set_refusal(str(error))

    def _stop(_):
        if (before := get_running()) is not None:
            before.stop()

    run_button = mo.ui.button(label="Run", kind="success", on_click=_begin)
    stop_button = mo.ui.button(label="Stop", kind="warn", on_click=_stop)
    return preset, run_button, stop_button


@app.cell
def _(get_study, mo, preset, run_button, stop_button, study):
    _study = get_study(study.value)
    _minutes = _study.minutes.get(preset.value)
    _time = f"about {_minutes:g} min on two cores" if _minutes else ""
    _command = f"flylab run {study.value.replace('_', '-')} {preset.value}"
    mo.vstack(
        [
            mo.hstack([study, preset, run_button, stop_button, mo.md(_time)], justify="start", wrap=True, align="end"),
            mo.md(f"## {_study.question}\n\n`{_command}`"),
        ]
    )
    return


@app.cell
def _(get_over, get_refusal, get_running, mo):
    _running = get_running()
    tick = mo.ui.refresh(default_interval=1) if _running is not None and get_over() is not _running else None
    mo.vstack(
        [
            mo.callout(get_refusal(), kind="warn") if get_refusal() else mo.md(""),
            mo.Html(f'<div style="display:none">{tick}</div>') if tick is not None else mo.md(""),
        ]
    )
    return (tick,)


@app.cell
def _(get_over, get_running, look, mo, set_over, tick):
    tick  # runs this cell again
    _running = get_running()
    mo.stop(_running is None)
    if _running.is_over and get_over() is not _running:
        set_over(_running)
    _share, _name = _running.share, f"{_running.study.name} {_running.preset}"
    _phase = (
        "failed"
        if _running.error
        else "ended"
        if _running.is_over
        else f"{100 * _share:.0f} % of its members, {_running.said}".strip(", ")
    )
    _bar = f'<progress max="1" value="{_share:.3f}" style="width:12rem" aria-label="progress"></progress>'
    mo.vstack(
        [
            mo.Html(f'<p role="status">{_bar} {look.text(_name)}: {_phase}</p>'),
            mo.callout(_running.error, kind="danger") if _running.error else mo.md(""),
            mo.Html("" if _running.is_over else f'<div class="flylab-scroll">{_running.partial()}</div>'),
        ]
    )
    return


@app.cell
def _(explorer, get_over, mo, server, stored, study):
    get_over()  # runs this cell again when a run has ended
    _own = {name: folder for name, folder in explorer.runs(server.out()).items() if name.startswith(f"{study.value} ·")}
    _runs = _own | stored.folders(study.value)
    mo.stop(
        not _runs,
        mo.callout(f"There is no run of {study.value} yet. Press Run, or use the command above.", kind="info"),
    )
    run = mo.ui.dropdown(_runs, next(iter(_runs)), label="run")
    mo.hstack([run], justify="start")
    return (run,)


@app.cell
def _(explorer, look, mo, run, stored):
    shown = stored.load(run.value)
    folder, results = shown.folder, shown.results
    _said = f'<p class="flylab-verdict"><b>{look.text(stored.sentence(shown))}</b></p>'
    mo.Html(_said + explorer.figure(folder, None if shown.info else results))  # drawing a dark one takes seconds
    return folder, results, shown


@app.cell
def _(look, mo, shown, stored):
    mo.Html(look.titled("Claims", stored.claims(shown)) if shown.verdicts else stored.table(shown))
    return


@app.cell
def _(mo, results):
    mo.stop(results is None, mo.md("A chart of any variable needs the whole results: press **Run**."))
    return


@app.cell
def _(explorer, mo, results):
    mo.stop(results is None)
    _names = explorer.Axes.of(results).values
    value = mo.ui.dropdown(_names, "test_accuracy" if "test_accuracy" in _names else _names[0], label="value")
    return (value,)


@app.cell
def _(explorer, mo, results, value):
    _dims = explorer.Axes.of(results, value.value).dims
    _x = "step" if "step" in _dims else _dims[-1]
    _lines = next(
        (dim for dim in ("model", "activation", "pooling", "source", "treatment") if dim in _dims and dim != _x),
        None,
    )
    x = mo.ui.dropdown(_dims, _x, label="against")
    lines = mo.ui.dropdown(["(none)", *_dims], _lines or "(none)", label="lines")
    return lines, x


@app.cell
def _(explorer, lines, look, mo, results, value, x):
    _dims = explorer.Axes.of(results, value.value).dims
    _array = results[value.value]
    _rest = [
        dim for dim in _dims if dim not in (x.value, lines.value) and _array.sizes[dim] > 1 and dim in _array.coords
    ]
    _values = {dim: {str(v): v for v in _array[dim].values.tolist()} for dim in _rest}
    at = mo.ui.dictionary(
        {
            dim: mo.ui.dropdown(values, list(values)[-1 if dim == "step" else 0], label=look.label(dim))
            for dim, values in _values.items()
        }
    )
    return (at,)


@app.cell
def _(at, explorer, lines, mo, results, value, x):
    _lines = None if lines.value in ("(none)", x.value) else lines.value
    _chart = explorer.chart(results, value.value, x.value, _lines, dict(at.value))
    mo.vstack(
        [
            mo.md("### Explore"),
            mo.hstack([value, x, lines, *at.elements.values()], justify="start", wrap=True),
            mo.ui.altair_chart(_chart, chart_selection=False, legend_selection=False),
        ]
    )
    return


@app.cell
def _(explorer, folder, json, look, mo, shown):
    _provenance = shown.info.get("provenance") or explorer.provenance(folder)
    mo.accordion(
        {
            "Repeat it": mo.Html(look.code(shown.command)),
            "Provenance": mo.Html(look.code(json.dumps(_provenance, indent=2))),
        }
    )
    return


if __name__ == "__main__":
    app.run()
