# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The playground: change the data parameters, train networks side by side, and see what they get wrong."""

import marimo

app = marimo.App(width="medium", app_title="flylab: playground")


@app.cell
def _():
    import functools

    import marimo as mo

    from flylab.app import downloads, drawing, look, settings
    from flylab.app.background import Training
    from flylab.models import model_title
    from flylab.models.activations import ALL as ACTIVATIONS

    mo.Html(look.navigation("playground"))
    return ACTIVATIONS, Training, downloads, drawing, functools, look, mo, model_title, settings


@app.cell
def _(mo):
    mo.md(
        """
        # MNIST-1D and small networks

        MNIST-1D starts from ten digit-like templates of 12 points. They are padded, scaled, shifted, made noisy,
        sheared and resampled. Move the sliders and see how the data change. Then choose networks, and train them on
        these data.
        """
    )
    return


@app.cell
def _(mo, settings):
    _usual = settings.data_params_of(settings.MNIST1D())

    def _control(name):
        control = settings.DATA_PARAMS[name]
        if name in ("n_train", "n_test", "seed"):
            return mo.ui.number(value=_usual[name], step=control.step, label=control.label)
        return mo.ui.slider(
            control.low, control.high, control.step, value=_usual[name], label=control.label, show_value=True
        )

    data_params = mo.ui.dictionary({name: _control(name) for name in settings.DATA_PARAMS})
    classes = mo.ui.multiselect([str(k) for k in range(10)], [str(k) for k in range(10)], label="classes")
    shuffled = mo.ui.switch(label="shuffle the positions")
    return classes, data_params, shuffled


@app.cell
def _(classes, data_params, mo, shuffled):
    _shape = ["scale_coeff", "max_translation", "corr_noise_scale", "iid_noise_scale", "shear_scale"]
    _size = ["final_seq_length", "padding_low", "padding_high", "template_len"]
    _set = ["label_noise", "n_train", "n_test", "seed"]

    def _column(names, *more):
        return mo.vstack([*(data_params[name] for name in names), *more])

    mo.hstack(
        [_column(_shape), _column(_size, shuffled), _column(_set, classes)],
        wrap=True,
        gap=2,
        justify="start",
    )
    return


@app.cell
def _(classes, data_params, mo, settings, shuffled):
    data, _problem = None, ""
    try:
        _some = tuple(sorted(int(k) for k in classes.value))
        if not _some:
            raise ValueError("choose at least one class")
        data = settings.data_of(data_params.value, None if len(_some) == 10 else _some, shuffle_seq=shuffled.value)
    except ValueError as error:
        _problem = str(error)
    mo.callout(_problem, kind="danger") if _problem else None
    return (data,)


@app.cell
def _(data, mo):
    mo.stop(data is None)
    _classes = data.patterns.y
    _usual = str(_classes[min(3, len(_classes) - 1)])
    shown = mo.ui.dropdown({str(k): i for i, k in enumerate(_classes)}, _usual, label="construction of a")
    another = mo.ui.button(value=0, on_click=lambda n: n + 1, label="another one")
    mo.hstack([shown, another], justify="start", wrap=True)
    return another, shown


@app.cell
def _(another, data, drawing, mo, shown):
    mo.Html(drawing.construction(data, shown.value, another.value))
    return


@app.cell
def _(data, drawing, look, mo, settings):
    mo.stop(data is None)
    splits = settings.splits(data)
    mo.Html(look.titled(f"Training examples, standardised ({data.n_train} in all)", drawing.examples(splits, data)))
    return (splits,)


@app.cell
def _(ACTIVATIONS, mo, model_title, settings):
    _controls = settings.TRAINING
    _titles = {model_title(name): name for name in settings.MODELS}

    def _slider(name, value):
        control = _controls[name]
        return mo.ui.slider(control.low, control.high, control.step, value=value, label=control.label, show_value=True)

    chosen = mo.ui.dictionary(
        {
            "models": mo.ui.multiselect(_titles, ["MLP", "CNN"], label="networks"),
            "optimizer": mo.ui.dropdown(["adam", "sgd"], "adam", label="optimiser"),
            "learning_rate": mo.ui.slider(
                steps=[1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0],
                value=1e-2,
                label="learning rate",
                show_value=True,
            ),
            "shuffle": mo.ui.switch(label="shuffle the examples in each epoch"),
            "activation": mo.ui.dropdown([*ACTIVATIONS, "learned"], "relu", label="activation of the MLP"),
            "n_steps": mo.ui.number(value=2000, step=100, label=_controls["n_steps"].label),
            "n_seeds": mo.ui.number(value=4, step=1, label=_controls["n_seeds"].label),
            "batch_size": mo.ui.number(value=100, step=10, label=_controls["batch_size"].label),
            "mlp_width": _slider("mlp_width", 100),
            "cnn_channels": _slider("cnn_channels", 25),
            "gru_units": _slider("gru_units", 6),
            "pruned": _slider("pruned", 0),
            "pruning": mo.ui.dropdown(["by chance", "magnitude"], "by chance", label="which weights are pruned"),
        }
    )
    return (chosen,)


@app.cell
def _(chosen, mo):
    def _column(*names):
        return mo.vstack([chosen[name] for name in names])

    mo.vstack(
        [
            mo.md("## Train"),
            mo.hstack(
                [
                    _column("models", "n_steps", "n_seeds", "batch_size"),
                    _column("optimizer", "learning_rate", "shuffle", "activation"),
                    _column("mlp_width", "cnn_channels", "gru_units", "pruned", "pruning"),
                ],
                wrap=True,
                gap=2,
                justify="start",
            ),
        ]
    )
    return


@app.cell
def _(mo):
    get_training, set_training = mo.state(None)
    get_over, set_over = mo.state(None)
    get_refusal, set_refusal = mo.state("")
    return get_over, get_refusal, get_training, set_over, set_refusal, set_training


@app.cell
def _(Training, chosen, data, get_training, mo, set_over, set_refusal, set_training, settings):
    training_settings, _problem = None, ""
    try:
        if data is not None:
            training_settings = settings.Settings(
                data=data, **{**chosen.value, "models": tuple(chosen.value["models"])}
            )
    except ValueError as error:
        _problem = str(error)

    def _begin(_):
        if (before := get_training()) is not None:
            before.stop()
        try:
            set_training(Training(training_settings))
            set_over(None)
            set_refusal("")
        except ValueError as error:
            set_refusal(str(error))

    def _stop(_):
        if (before := get_training()) is not None:
            before.stop()

    _look = {"kind": "success", "keyboard_shortcut": "Ctrl-Enter", "tooltip": "Ctrl + Enter"}
    train_button = mo.ui.button(label="Train", on_click=_begin, disabled=training_settings is None, **_look)
    stop_button = mo.ui.button(label="Stop", kind="warn", on_click=_stop)
    mo.vstack(
        [
            mo.hstack([train_button, stop_button], justify="start"),
            mo.callout(_problem, kind="danger") if _problem else mo.md(""),
        ]
    )
    return stop_button, train_button, training_settings


@app.cell
def _(get_refusal, mo):
    mo.callout(get_refusal(), kind="warn") if get_refusal() else None
    return


@app.cell
def _(get_over, get_training, mo):
    _training = get_training()
    # refresh while a training is running
    tick = mo.ui.refresh(default_interval=0.5) if _training is not None and get_over() is not _training else None
    mo.Html(f'<div style="display:none">{tick}</div>') if tick is not None else None
    return (tick,)


@app.cell
def _(drawing, get_over, get_training, look, mo, set_over, tick):
    tick  # runs this cell again
    _training = get_training()
    mo.stop(_training is None, mo.md("Press **Train**. Learning curves will appear here, each with a band over seeds."))
    if _training.is_over and get_over() is not _training:
        set_over(_training)
    _status = {
        "begun": "compiling …", "training": f"{100 * _training.share:.0f} % done", "done": "done",
        "stopped": f"stopped at {100 * _training.share:.0f} %", "failed": f"failed: {look.text(_training.error)}",
    }[_training.phase]  # fmt: skip
    _bar = f'<progress max="1" value="{_training.share:.3f}" style="width:12rem" aria-label="progress"></progress>'
    mo.Html(
        f'<p role="status">{_bar} {_status}</p>'
        + look.row(
            drawing.curves(_training, "accuracy", "test"),
            look.titled("", drawing.accuracies(_training), "mean over seeds ± half of the 95 % interval"),
        )
    )
    return


@app.cell
def _(get_over, mo, model_title, settings):
    _training = get_over()
    mo.stop(_training is None or not _training.populations)
    _titles = {model_title(name): name for name in _training.populations} | {"training curves": ""}
    looked_at = mo.ui.radio(_titles, next(iter(_titles)), inline=True, label="Look at")
    looked_at
    return (looked_at,)


@app.cell
def _(drawing, get_over, looked_at, mo, settings):
    _training, _name = get_over(), looked_at.value
    mo.stop(_training is None or _name not in (*_training.populations, ""))
    if _name:
        _splits = settings.splits(_training.settings.data)
        _drawn = drawing.mistakes(_training.settings, _splits, _training.populations[_name])
    else:
        _drawn = drawing.curves(_training, "accuracy", "train") + drawing.curves(_training, "loss", "train")
    mo.Html(_drawn)
    return


@app.cell
def _(mo, settings, training_settings):
    mo.stop(training_settings is None)
    mo.accordion(
        {
            "Copy as Python": mo.ui.code_editor(
                settings.as_python(training_settings), language="python", disabled=True, show_copy_button=True
            )
        }
    )
    return


@app.cell
def _(downloads, functools, get_over, mo, training_settings):
    mo.stop(training_settings is None)
    _training = get_over()
    _data = functools.partial(downloads.data, training_settings.data)
    _buttons = [mo.download(_data, filename="mnist1d.npz", label="data (.npz)")]
    if _training is not None and _training.phase == "done":
        _buttons += [
            mo.download(
                functools.partial(downloads.weights, _training),
                filename="weights.safetensors",
                label="weights (.safetensors)",
            ),
            mo.download(functools.partial(downloads.results, _training), filename="results.nc", label="results (.nc)"),
        ]
    mo.hstack([mo.md("Download:"), *_buttons], justify="start", wrap=True)
    return


if __name__ == "__main__":
    app.run()
