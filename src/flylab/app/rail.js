// The controls of the playground. See `rail.py` for what is exchanged.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const words = (field, value) => (field.kind === "choice" ? field.options[value] : String(value));

// Each kind of control: its elements, and how it shows a value. `change(value)` is called when a person moves it.
const KINDS = {
  slider(name, field, change) {
    const input = element("input", { type: "range", id: name, min: field.low, max: field.high, step: field.step });
    const output = element("output", { for: name });
    input.addEventListener("input", () => change(Number(input.valueAsNumber.toFixed(6))));
    const show = (value) => { input.value = value; output.value = value; };
    return { head: [output], body: [input], show };
  },
  number(name, field, change) {
    const input = element("input", { type: "text", inputmode: "numeric", id: name });
    input.addEventListener("input", () => {
      const text = input.value.trim();
      change(text !== "" && Number.isFinite(Number(text)) ? Number(text) : text);
    });
    return { head: [input], body: [], show: (value) => { if (input.value !== String(value)) input.value = value; } };
  },
  choice(name, field, change) {
    const options = Object.entries(field.options).map(([value, title]) => element("option", { value }, title));
    const input = element("select", { id: name }, ...options);
    input.addEventListener("change", () => change(input.value));
    return { head: [input], body: [], show: (value) => (input.value = value) };
  },
  switch(name, field, change) {
    const input = element("input", { type: "checkbox", id: name });
    input.addEventListener("change", () => change(input.checked));
    return { head: [input], body: [], show: (value) => (input.checked = value) };
  },
  several(name, field, change) {
    const inputs = Object.keys(field.options).map((value) => element("input", { type: "checkbox", value }));
    const boxes = inputs.map((input, i) => element("label", {}, input,
      element("i", { class: "dot", style: `background:${field.inks[i]}` }), field.options[input.value]));
    for (const input of inputs) {
      input.addEventListener("change", () => change(inputs.filter((one) => one.checked).map((one) => one.value)));
    }
    const show = (value) => inputs.forEach((input) => (input.checked = value.includes(input.value)));
    return { head: [], body: [element("div", { class: "boxes", id: name, role: "group", "aria-label": field.label }, ...boxes)], show };
  },
};

function control(name, field, change) {
  const { head, body, show } = KINDS[field.kind](name, field, (value) => change(name, value));
  const reset = element("button", { type: "button", class: "reset", title: `back to ${words(field, field.usual)}`,
                                    "aria-label": `reset ${field.label}` }, "↺");
  reset.addEventListener("click", () => change(name, field.usual));
  const error = element("p", { class: "error", role: "alert", id: `${name}-error` });
  const label = field.kind === "several" ? element("span", { class: "label" }, field.label)
    : element("label", { for: name, class: "label" }, field.label);
  return {
    row: element("div", { class: `field ${field.kind}` }, element("div", { class: "head" }, label, ...head, reset), ...body, error),
    show(value, message) {
      show(value);
      error.textContent = message ?? "";
      reset.style.visibility = same(value, field.usual) ? "hidden" : "visible";
    },
  };
}

function render({ model, el }) {
  const { fields, groups, pause } = model.get("spec");
  const rows = {};
  let waiting = null;
  const send = () => {  // now and then while a slider moves
    waiting = null;
    model.save_changes();
  };
  const change = (name, value) => set({ ...model.get("values"), [name]: value });
  const set = (values) => {
    model.set("values", values);
    show();
    waiting ??= setTimeout(send, pause);
  };
  const press = (name) => {
    model.set("command", [name, model.get("command")[1] + 1]);
    model.save_changes();
    const isShown = innerWidth <= 860 && ["train", "beside"].includes(name); // no room for controls and results at once
    if (isShown) document.querySelector(".flylab-results")?.scrollIntoView({ behavior: "smooth" });
  };
  const button = (title, does, attributes = {}) => {
    const made = element("button", { type: "button", ...attributes }, title);
    made.addEventListener("click", does);
    return made;
  };

  const scrolls = element("div", { class: "scrolls" });
  for (const [title, names] of Object.entries(groups)) {
    const made = names.map((name) => (rows[name] = control(name, fields[name], change)).row);
    const isFolded = title.startsWith("More") || title.startsWith("Sizes");
    if (isFolded) scrolls.append(element("details", {}, element("summary", {}, title), ...made));
    else scrolls.append(...(title ? [element("h2", {}, title)] : []), ...made);
  }
  const usual = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.usual]));
  scrolls.append(button("Reset all", () => set(usual)));

  const train = button("Train", () => press("train"), { class: "main", title: "Ctrl + Enter" });
  const stop = button("Stop", () => press("stop"));
  const beside = button("Plain beside shuffled", () => press("beside"));
  const pin = button("Pin this run", () => press(model.get("status").pinned ? "unpin" : "pin"));
  const back = button("Back to these settings", () => set(model.get("status").trained));
  const bar = element("progress", { max: 1, value: 0, "aria-label": "progress" });
  const said = element("p", { role: "status" });
  const error = element("p", { class: "error", role: "alert" });
  const buttons = element("div", { class: "buttons" }, train, stop, beside, pin, back);
  el.append(element("form", { class: "rail", "aria-label": "settings" }, scrolls,
                    element("div", { class: "pinned" }, buttons, element("div", { class: "said" }, bar, said), error)));

  function show() {
    const [values, errors, status] = [model.get("values"), model.get("errors"), model.get("status")];
    for (const [name, row] of Object.entries(rows)) row.show(values[name], errors[name]);
    for (const folded of scrolls.querySelectorAll("details")) {
      if ([...folded.querySelectorAll(".error")].some((one) => one.textContent)) folded.open = true;
    }
    train.disabled = beside.disabled = Object.keys(errors).length > 0;
    stop.disabled = !status.busy;
    pin.disabled = !status.done && !status.pinned;
    pin.textContent = status.pinned ? "Unpin all" : "Pin this run";
    back.hidden = !status.trained;
    bar.hidden = !status.busy;
    bar.value = status.share ?? 0;
    said.textContent = status.text ?? "";
    error.textContent = errors[""] ?? "";
    const address = new URLSearchParams();
    for (const [name, field] of Object.entries(fields)) {
      if (!same(values[name], field.usual)) address.set(name, values[name]);
    }
    if (model.get("runs").length) address.set("runs", model.get("runs"));
    const query = String(address).replaceAll("%2C", ",");
    history.replaceState(history.state, "", location.pathname + (query && `?${query}`));
  }
  for (const name of ["values", "errors", "status", "runs"]) model.on(`change:${name}`, show);
  const listen = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !train.disabled) press("train");
  };
  document.addEventListener("keydown", listen);
  show();
  return () => document.removeEventListener("keydown", listen);
}
export default { render };
