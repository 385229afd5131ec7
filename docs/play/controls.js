// The controls of the settings: each field of the state has one, with its label, value and reset.

import { CLASSES, MODELS } from "./constants.js";
import { FIELDS, isUsual, shown, usual } from "./state.js";

/** Make an element with attributes and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const colourOf = (name, value) => (name === "models" ? MODELS[value].colour : CLASSES[Number(value)]);
const titleOf = (name, value) => (name === "models" ? MODELS[value].title : value);

function boxes(name, change) {
  const { label, among } = FIELDS[name];
  const group = element("fieldset", { class: `boxes ${name}` }, element("legend", {}, label));
  const inputs = among.map((value) => element("input", { type: "checkbox", value }));
  inputs.forEach((input, i) => {
    const dot = name === "arrangements" ? "" : element("i", { class: "dot", style: `background:${colourOf(name, among[i])}` });
    group.append(element("label", {}, input, dot, titleOf(name, among[i])));
    input.addEventListener("change", () => {
      const chosen = among.filter((_, j) => inputs[j].checked);
      if (chosen.length) change(name, chosen);
      else input.checked = true; // one at least
    });
  });
  return { row: group, show: (value) => inputs.forEach((input, i) => (input.checked = value.includes(among[i]))) };
}

function slider(name, change) {
  const field = FIELDS[name];
  const isChoice = field.kind === "choice";
  const range = isChoice ? { min: 0, max: field.among.length - 1, step: 1 } : { min: field.low, max: field.high, step: field.step };
  const input = element("input", { type: "range", id: name, ...range });
  const output = element("output", { for: name });
  const reset = element("button", { type: "button", class: "reset", title: `back to ${shown(name, field.usual)}`,
                                    "aria-label": `reset ${field.label}` }, "↺");
  const value = () => (isChoice ? field.among[input.valueAsNumber] : Number(input.valueAsNumber.toFixed(6)));
  input.addEventListener("input", () => change(name, value()));
  reset.addEventListener("click", () => {
    change(name, field.usual);
    input.focus();
  });
  const head = element("span", { class: "head" }, element("label", { for: name }, field.label), output, reset);
  return {
    row: element("div", { class: "slider" }, head, input),
    show: (now) => {
      input.value = isChoice ? field.among.indexOf(now) : now;
      input.setAttribute("aria-valuetext", shown(name, now));
      output.value = shown(name, now);
      reset.style.visibility = isUsual(name, now) ? "hidden" : "visible";
    },
  };
}

/**
 * Put controls into all elements with `data-fields`, a list of names.
 *
 * `change(name, value)` is called when a person moves one. Returns a function that shows a state.
 */
export function controls(root, change) {
  const made = {};
  for (const place of root.querySelectorAll("[data-fields]")) {
    for (const name of place.dataset.fields.split(" ")) {
      made[name] = FIELDS[name].kind === "several" ? boxes(name, change) : slider(name, change);
      place.append(made[name].row);
    }
  }
  const show = (state) => Object.entries(made).forEach(([name, { show: one }]) => one(state[name]));
  show(usual());
  return show;
}
