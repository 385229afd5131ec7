// What the page shows of a state's data and of a run's results.

import { element } from "./controls.js";
import { curves, drawWeights, examples, steps, swatch } from "./drawing.js";
import { configOf, draw, maker, patternsOf, stages } from "./generator.js";
import { firstLayer } from "./pruning.js";
import { RandomState } from "./random.js";
import { Run } from "./run.js";
import { dataOf, differences, shown, shuffled } from "./state.js";
import { plusMinus } from "./statistics.js";

const find = (name) => document.getElementById(name);
const widthOf = (place) => Math.max(260, Math.floor(place.clientWidth));
const STEPS = ["pad", "scale", "translate", "add noise", "shear", "resample"];

/** Draw how an example of a class is made, and examples of all classes; `number` counts the draws. */
export function showData(state, chosen, number) {
  const config = configOf(dataOf(state));
  const patterns = patternsOf(config);
  const which = Math.max(patterns.y.indexOf(chosen), 0);
  const digit = patterns.y[which];
  const made = stages(config, config.seed + number)[which];
  const named = [["template", patterns.x[which]], ...made.map((signal, i) => [STEPS[i], signal])];
  const order = state.arrangements.includes("shuffled") ? shuffled(state.final_seq_length) : null;
  const reordered = (signal) => order.map((i) => signal[i]);
  if (order) named.push(["shuffle", reordered(made.at(-1))]);
  const place = find("construction");
  place.innerHTML = steps(named, digit, `the steps that make an example of a ${digit}`, widthOf(place));

  const [rng, construct] = [new RandomState(config.seed + number), maker(config)];
  const classes = patterns.y.map((label, i) => ({
    label, signals: [0, 1, 2].map(() => [...construct(i, draw(config, rng))[5]]),
  }));
  const below = find("examples");
  const isShuffledOnly = order && state.arrangements.length === 1;
  if (isShuffledOnly) for (const one of classes) one.signals = one.signals.map(reordered);
  const more = isShuffledOnly ? ", shuffled" : order ? ", not shuffled" : "";
  find("signals").textContent = `Three signals of each digit${more}`;
  below.innerHTML = examples(classes, `three signals of each digit${more}`, widthOf(below));
}

const VALUES = [
  ["accuracy", "new signals read right (%)", (part) => part.test.accuracy],
  ["loss", "loss on the training signals (nats)", (part) => part.train.loss],
];

/** Draw the curves and the table of a run. */
export function showRun(run) {
  const { lines, state } = run;
  for (const [name, yLabel, of] of VALUES) {
    const drawn = lines.map((line) => ({ ...line, points: Run.curve(line, of) }));
    const most = Math.max(0.1, ...drawn.flatMap(({ points }) => points.map(({ mean }) => mean)));
    const place = find(name);
    const size = { width: widthOf(place), height: 204 };
    place.innerHTML = curves(drawn, { xMax: state.n_steps, yMax: name === "loss" ? Math.min(most, 4) : 100, xLabel: "steps of training", yLabel, ...size });
  }
  const rows = lines.map((line) => {
    const [test, training] = [(part) => part.test.accuracy, (part) => part.train.accuracy]
      .map((of) => Run.curve(line, of).at(-1)).map((last) => (last ? plusMinus(last) : "–"));
    const head = element("th", { scope: "row" });
    head.innerHTML = swatch(line.colour, line.dash);
    head.append(element("span", {}, line.title));
    return element("tr", {}, head, element("td", {}, test), element("td", {}, training));
  });
  find("accuracies").replaceChildren(...rows);
  const costs = run.isTrained ? run.costs.map(([title, cost]) => `${title} ${plusMinus(cost)}`) : []; // when all are trained
  find("costs").textContent = costs.length ? `Points lost by shuffling: ${costs.join(", ")}.` : "";
}

/** Say with which settings a run was made, if they are no longer those of the page; returns whether they differ. */
export function showAge(run, state) {
  const changed = differences(run.state, state);
  const words = changed.map(({ label, value, name }) => `${label} ${value} (now ${shown(name, state[name])})`);
  find("age").hidden = !changed.length;
  find("trained-with").textContent = `Trained with ${words.join("; ")}.`;
  find("results").classList.toggle("stale", changed.length > 0);
  return changed.length > 0;
}

/** Draw the first layers of seed 0 as this sparsity leaves them. */
export function showMasks(run, sparsity) {
  const figures = run.lines.filter((line) => line.sparsity === null).map((line) => {
    const layers = run.layers(line);
    const rows = firstLayer(line.params[0].trained, run.mask(line, 0, sparsity), layers);
    const left = rows.flat().filter((value) => value !== null).length / rows.flat().length;
    const words = `${line.title}: first layer, ${(100 * left).toFixed(0)} % of its weights left`;
    const canvas = element("canvas", { role: "img", "aria-label": words });
    drawWeights(canvas, rows);
    return element("figure", {}, element("figcaption", {}, line.title), canvas);
  });
  find("masks").replaceChildren(...figures);
}
