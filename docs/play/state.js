// All that a visitor chooses, as one value that the page's address holds.

import { CONTROLS, DEFAULTS, MODELS } from "./constants.js";
import { RandomState } from "./random.js";

const [low, high] = DEFAULTS.padding;
const usualData = { ...DEFAULTS, padding_low: low, padding_high: high };
export const DATA = Object.keys(CONTROLS).filter((name) => name in usualData);
const slider = (name, usual, more = {}) => ({ kind: "slider", ...CONTROLS[name], usual, ...more });
const several = (label, among, usual) => ({ kind: "several", label, among, usual });

/** The fields of a state: how each is chosen, and its usual value. */
export const FIELDS = {
  models: several("networks", Object.keys(MODELS), ["mlp", "cnn"]),
  arrangements: several("positions", ["plain", "shuffled"], ["plain", "shuffled"]),
  n_seeds: slider("n_seeds", 3, { high: 16, label: "networks of each kind (seeds)" }),
  ...Object.fromEntries(DATA.map((name) => [name, slider(name, usualData[name])])),
  classes: several("classes", [..."0123456789"], [..."0123456789"]),
  n_steps: slider("n_steps", 1000),
  batch_size: slider("batch_size", 100),
  learning_rate: { kind: "choice", label: "learning rate", among: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1], usual: 1e-2 },
  pruned: slider("pruned", 0.8),
};

export const usual = () => Object.fromEntries(Object.entries(FIELDS).map(([name, { usual }]) => [name, usual]));

const asText = (value) => (Array.isArray(value) ? value.join(",") : String(value));
export const isUsual = (name, value) => asText(value) === asText(FIELDS[name].usual);

/** The nearest value that a field allows; its usual one if the text means nothing. */
function allowed(field, text) {
  if (field.kind === "several") {
    const chosen = field.among.filter((name) => text.split(",").includes(name));
    return chosen.length ? chosen : field.usual;
  }
  const number = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(number)) return field.usual;
  if (field.kind === "choice") {
    return field.among.reduce((best, value) => (Math.abs(value - number) < Math.abs(best - number) ? value : best));
  }
  const steps = Math.round((Math.min(Math.max(number, field.low), field.high) - field.low) / field.step);
  return Number((field.low + steps * field.step).toFixed(6));
}

/** Write a state as the part of an address after "#": what differs from the usual values. */
export function toHash(state) {
  const changed = Object.keys(FIELDS).filter((name) => !isUsual(name, state[name]));
  return changed.map((name) => `${name}=${asText(state[name])}`).join("&");
}

/** Read a state; what is unknown or impossible is left out or moved to the nearest allowed value. */
export function fromHash(hash) {
  const state = usual();
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (name in FIELDS) state[name] = allowed(FIELDS[name], text);
  }
  return { ...state, padding_low: Math.min(state.padding_low, state.padding_high) };
}

/** The published order in which positions are shuffled, `flylab.data.arrangements.shuffled(length)`. */
export const shuffled = (length) => new RandomState(42).permutation(length);

/** A state's data set, as changes to flylab's `MNIST1D`. */
export function dataOf(state, arrangement = "plain") {
  const values = Object.fromEntries(DATA.map((name) => [name, state[name]]));
  const { padding_low, padding_high, n_train, n_test, ...rest } = values;
  const [k, all] = [state.classes.length, FIELDS.classes.among.length];
  const whole = (n) => Math.max(Math.floor(n / k), 1) * k; // equally many examples of each class
  const data = { ...rest, n_train: whole(n_train), n_test: whole(n_test), n_valid: 0, padding: [padding_low, padding_high] };
  if (k < all) data.classes = state.classes.map(Number);
  if (arrangement === "shuffled") data.permutation = shuffled(state.final_seq_length);
  return Object.fromEntries(Object.entries(data).filter(([name, value]) => asText(value) !== asText(DEFAULTS[name])));
}

const PREPARATION = ["pruned"]; // has no part in the first training
/** Fields of which two states have different values, as `{name, label, value}` of the first. */
export function differences(before, now) {
  return Object.keys(FIELDS)
    .filter((name) => !PREPARATION.includes(name) && asText(before[name]) !== asText(now[name]))
    .map((name) => ({ name, label: FIELDS[name].label, value: shown(name, before[name]) }));
}

/** A value as it is shown to people. */
export function shown(name, value) {
  if (name === "models") return value.map((model) => MODELS[model].title).join(", ");
  if (name === "pruned" || name === "label_noise") return `${Math.round(100 * value)} %`;
  return Array.isArray(value) ? value.join(", ") : String(value);
}
