// One training, as flylab's `train_members` with Adam and the examples in fixed order.

import { configOf, labelsOf, published } from "./generator.js";
import { initialParams, layersOf } from "./layers.js";
import { Network } from "./network.js";

export const EVALUATIONS = 40; // in a training, for a smooth curve
export const N_EVALUATED = 1000; // training examples that are evaluated, the first ones

/** Steps after which a network is evaluated. */
export function evaluated(nSteps) {
  const every = Math.max(Math.floor(nSteps / EVALUATIONS), 1);
  const steps = [];
  for (let step = 0; step < nSteps; step += every) steps.push(step);
  return [...steps, nSteps];
}

let kept = { name: "", sets: [] }; // the last data set, in the order in which it was made

function dataOf({ permutation, ...changes }) {
  const name = JSON.stringify(changes);
  if (kept.name !== name) {
    const { train, test } = published(configOf(changes));
    kept = { name, sets: [train, test].map(({ x, y }) => ({ x: Float32Array.from(x), y })) };
  }
  if (!permutation) return kept.sets;
  const n = permutation.length; // making the set again would take longer
  return kept.sets.map(({ x, y }) => ({ x: x.map((_, i) => x[i - (i % n) + permutation[i % n]]), y }));
}

/** Mean loss (nats) and accuracy (%) on the first `most` examples. */
function evaluate(network, { x, y }, most) {
  const n = Math.min(y.length, most);
  let [loss, right] = [0, 0];
  for (let first = 0; first < n; first += network.batch) {
    const size = Math.min(network.batch, n - first);
    network.load(x, Array.from({ length: size }, (_, j) => first + j));
    const part = network.judge(y.slice(first, first + size));
    [loss, right] = [loss + part.loss, right + part.right];
  }
  return { loss: loss / n, accuracy: (100 * right) / n };
}

/** The layers of a job's network. */
export const layersFor = ({ model, data }) => {
  const config = configOf(data);
  return layersOf(model, config.final_seq_length, labelsOf(config).outputs);
};

/**
 * Train a network; yields after each evaluation.
 *
 * A job is `{model, data, seed, nSteps, batchSize, rate, mask}`, where `data` are changes to the published config. Yields
 * `{step, train, test}`, each with loss and accuracy, and returns `{initial, trained}`, the parameters.
 */
export function* train(job) {
  const layers = layersFor(job);
  const initial = initialParams(layers, job.seed);
  const [training, test] = dataOf(job.data);
  const network = new Network(layers, job.batchSize);
  network.start(initial, job.mask ?? null);
  const n = training.y.length;
  let step = 0;
  for (const stop of evaluated(job.nSteps)) {
    for (; step < stop; step++) {
      const numbers = Array.from({ length: job.batchSize }, (_, j) => (step * job.batchSize + j) % n);
      network.load(training.x, numbers);
      network.learn(numbers.map((i) => training.y[i]), job.rate);
    }
    yield { step, train: evaluate(network, training, N_EVALUATED), test: evaluate(network, test, Infinity) };
  }
  return { initial, trained: network.params.slice() };
}
