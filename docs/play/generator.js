// MNIST-1D, with the same numbers as `flylab.published`: every step as in src/flylab/data/transforms.py.

import { DEFAULTS, TEMPLATES } from "./constants.js";
import { RandomState } from "./random.js";

/** A complete config: the fields of flylab's `MNIST1D`, with its defaults. */
export const configOf = (changes = {}) => ({ ...DEFAULTS, ...changes });

/** The patterns in use: the templates, restricted to `classes`, as `{x, y}`. */
export function patternsOf(config) {
  const { x, y } = config.templates ?? TEMPLATES;
  const rows = config.classes ? config.classes.flatMap((k) => y.flatMap((label, i) => (label === k ? [i] : []))) : x.keys();
  const kept = [...rows];
  return { x: kept.map((i) => x[i]), y: kept.map((i) => y[i]) };
}

/** The labels that examples can have, in order, and the number of outputs that a network needs. */
export function labelsOf(config) {
  const labels = config.random_labels === null ? [...new Set(patternsOf(config).y)] : [...Array(config.random_labels).keys()];
  return { labels, outputs: config.n_outputs ?? Math.max(...labels) + 1 };
}

/** `n` equally spaced numbers, rounded as `numpy.linspace` rounds them. */
function linspace(start, stop, n) {
  const step = (stop - start) / (n - 1);
  return Float64Array.from({ length: n }, (_, i) => (i === n - 1 && n > 1 ? stop : i * (n > 1 ? step : 0) + start));
}

/** Interpolate linearly at `n` equally spaced points, as `numpy.interp` does. */
export function resampler(length, n) {
  const [old, now] = [linspace(0, 1, length), linspace(0, 1, n)];
  const left = new Int32Array(n);
  for (let i = 0, j = 0; i < n; i++) {
    while (j < length - 2 && old[j + 1] <= now[i]) j++;
    left[i] = j;
  }
  return (x) => {
    const y = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const j = left[i];
      if (length === 1) y[i] = x[0];
      else if (old[j + 1] === now[i]) y[i] = x[j + 1];
      else y[i] = ((x[j + 1] - x[j]) / (old[j + 1] - old[j])) * (now[i] - old[j]) + x[j];
    }
    return y;
  };
}

const RADIUS = 8; // scipy.ndimage.gaussian_filter1d with σ = 2 reaches as far
const BELL = Array.from({ length: RADIUS + 1 }, (_, i) => Math.exp(-0.5 * (i / 2) ** 2));
const TOTAL = BELL.reduce((sum, w, i) => sum + (i ? 2 * w : w), 0);
const KERNEL = Float64Array.from(BELL, (w) => w / TOTAL);

/** Smooth a signal by a Gaussian filter (σ = 2 points) that reflects at the ends: d c b a | a b c d | d c b a. */
export function smooth(x) {
  const n = x.length;
  const [wide, y] = [new Float64Array(n + 2 * RADIUS), new Float64Array(n)];
  for (let i = -RADIUS; i < n + RADIUS; i++) {
    const j = ((i % (2 * n)) + 2 * n) % (2 * n);
    wide[i + RADIUS] = x[j < n ? j : 2 * n - 1 - j];
  }
  for (let i = 0; i < n; i++) {
    const at = i + RADIUS;
    let sum = KERNEL[0] * wide[at];
    for (let r = 1; r <= RADIUS; r++) sum += KERNEL[r] * (wide[at - r] + wide[at + r]);
    y[i] = sum;
  }
  return y;
}

/** Draw the random numbers of one example, in the reference's order. */
export function draw(config, rng) {
  const [low, high] = config.padding;
  const points = config.template_len + high;
  const padding = low + Math.trunc(rng.uniform() * (high - low + 1));
  const scale = rng.uniform();
  const shift = rng.integer(config.max_translation - 1);
  const [correlated, white] = [new Float64Array(points), new Float64Array(points)];
  for (let i = 0; i < points; i++) correlated[i] = rng.normal();
  for (let i = 0; i < points; i++) white[i] = rng.normal();
  return { padding, scale, shift, correlated, white, shear: rng.uniform() };
}

/** Return a function (number of the pattern, draws) → the example after each of its six steps. */
export function maker(config) {
  const patterns = patternsOf(config).x;
  const points = config.template_len + config.padding[1];
  const [ramp, last, padded] = [linspace(-0.5, 0.5, points), resampler(points, config.final_seq_length), new Map()];

  const pad = (which, zeros) => {
    const name = which + zeros * patterns.length;
    if (!padded.has(name)) {
      // 1e-8 tells a template's zeros from those of the padding
      const row = [...patterns[which].map((value) => value + 1e-8), ...Array(zeros).fill(0)];
      padded.set(name, resampler(row.length, points)(row));
    }
    return padded.get(name);
  };

  return (which, draws) => {
    const stretched = pad(which, draws.padding);
    const scaled = stretched.map((value) => value * (1 + config.scale_coeff * (draws.scale - 0.5)));
    const shift = draws.shift < points ? draws.shift : 0;
    const translated = scaled.map((_, i) => scaled[(i - shift + points) % points]);
    const noise = smooth(draws.correlated.map((value) => config.corr_noise_scale * value));
    const noisy = translated.map((x, i) => (x !== 0 ? x : noise[i]) + config.iid_noise_scale * draws.white[i]);
    const slope = config.shear_scale * (draws.shear - 0.5);
    const sheared = noisy.map((value, i) => value - slope * ramp[i]);
    return [stretched, scaled, translated, noisy, sheared, last(sheared)];
  };
}

/** One example of each class after each step of its construction, as flylab's `stages(config, seed)`. */
export function stages(config, seed = 0) {
  const [rng, construct] = [new RandomState(seed), maker(config)];
  const draws = patternsOf(config).x.map(() => draw(config, rng)); // all draws first: they are the same for any pattern
  return draws.map((one, which) => construct(which, one));
}

function makeRaw(config, n, rng, shuffleSeq) {
  const construct = maker(config);
  const { y: labels } = patternsOf(config);
  const each = n / labels.length;
  const made = Array.from({ length: n }, (_, i) => construct(Math.floor(i / each), draw(config, rng))[5]);
  const order = rng.permutation(n);
  const positions = shuffleSeq ? rng.permutation(config.final_seq_length) : null;
  const length = config.final_seq_length;
  const x = new Float64Array(n * length);
  order.forEach((from, row) => x.set(made[from], row * length));
  return { x, y: order.map((from) => labels[Math.floor(from / each)]), positions };
}

/** Standardise all values to mean 0 and deviation 1, then reorder the positions of every example. */
function finished(x, length, ...orders) {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < x.length; i++) sum += x[i];
  const mean = sum / x.length;
  for (let i = 0; i < x.length; i++) squares += (x[i] - mean) ** 2;
  const deviation = Math.sqrt(squares / x.length);
  let order = [...Array(length).keys()];
  for (const next of orders) if (next) order = next.map((i) => order[i]);
  return x.map((_, i) => (x[i - (i % length) + order[i % length]] - mean) / deviation);
}

/** Labels after label noise (training set only), or random ones; their draws leave those of the signals alone. */
function noisyLabels(config, name, y) {
  const rng = new RandomState([config.seed, ...new TextEncoder().encode(name)]);
  if (config.random_labels !== null) return y.map(() => rng.integer(config.random_labels - 1));
  if (name !== "train" || !config.label_noise) return y;
  const { labels } = labelsOf(config);
  const chosen = y.map(() => rng.uniform() < config.label_noise);
  const drawn = y.map(() => rng.uniform());
  const n = labels.length;
  const other = (label, u) =>
    config.label_noise_repeats ? Math.floor(u * n) : (labels.indexOf(label) + 1 + Math.floor(u * (n - 1))) % n;
  return y.map((label, i) => (chosen[i] ? labels[other(label, drawn[i])] : label));
}

/** The sets of `flylab.published(config)`: `{train, valid, test}`, each `{x, y}` with x row after row. */
export function published(config) {
  const { n_train: n, final_seq_length: length, permutation } = config;
  const { x, y, positions } = makeRaw(config, n + config.n_test, new RandomState(config.seed), config.shuffle_seq);
  const all = finished(x, length, positions, permutation);
  const sets = {
    train: { x: all.subarray(0, n * length), y: noisyLabels(config, "train", y.slice(0, n)) },
    valid: { x: new Float64Array(0), y: [] },
    test: { x: all.subarray(n * length), y: noisyLabels(config, "test", y.slice(n)) },
  };
  if (config.n_valid) {
    const raw = makeRaw(config, config.n_valid, new RandomState(config.seed + 1), false);
    const signals = finished(raw.x, length, positions, permutation);
    sets.valid = { x: signals, y: noisyLabels(config, "valid", raw.y) };
  }
  return sets;
}
