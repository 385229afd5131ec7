// A run: the networks of one state, plain and shuffled, and those that are pruned afterwards.

import { MODELS } from "./constants.js";
import { prune } from "./pruning.js";
import { dataOf, fromHash, toHash } from "./state.js";
import { interval } from "./statistics.js";
import { layersFor } from "./training.js";

const range = (n) => [...Array(n).keys()];

export class Run {
  /** Prepare to train a state's networks by a pool; `changed` is called whenever there is something new to show. */
  constructor(state, pool, changed) {
    Object.assign(this, { state, pool, changed, phase: "ready", error: "", pruned: null, seconds: 0 });
    this.lines = state.models.flatMap((model) => state.arrangements.map((arrangement) => this.#line(model, arrangement)));
  }

  #line(model, arrangement, sparsity = null) {
    const isPruned = sparsity !== null;
    return {
      model, arrangement, sparsity, dash: isPruned ? `${arrangement} pruned` : arrangement, colour: MODELS[model].colour,
      title: `${MODELS[model].title}, ${arrangement}${isPruned ? `, ${Math.round(100 * sparsity)} % pruned` : ""}`,
      parts: range(this.state.n_seeds).map(() => []), // evaluations of each seed
      params: [], // of each seed, before and after training
      masks: [],
    };
  }

  /** All of this run but the weights, as plain values: what the page has when it is loaded again. */
  get kept() {
    const lines = this.lines.map(({ model, arrangement, sparsity, parts }) => ({ model, arrangement, sparsity, parts }));
    return { settings: toHash(this.state), pruned: this.pruned, lines };
  }

  /** The run that was `kept`. */
  static again({ settings, pruned, lines }, changed) {
    const run = new Run(fromHash(settings), null, changed);
    run.lines = lines.map(({ model, arrangement, sparsity, parts }) => ({ ...run.#line(model, arrangement, sparsity), parts }));
    return Object.assign(run, { pruned, phase: "kept", training: run.lines });
  }

  get #dense() {
    return this.lines.filter(({ sparsity }) => sparsity === null);
  }

  job(line, seed) {
    const { state } = this;
    return {
      model: line.model, data: dataOf(state, line.arrangement), seed, nSteps: state.n_steps, batchSize: state.batch_size,
      rate: state.learning_rate, mask: line.masks[seed] ?? null,
    };
  }

  /** Train all networks; resolves when they are done, stopped or failed. */
  train() {
    return this.#train(this.lines);
  }

  /** Prune what has been trained, give the weights that are left their first values back, and train them again. */
  prune(sparsity) {
    this.pruned = sparsity;
    const dense = this.#dense;
    const tickets = dense.map((line) => {
      const ticket = this.#line(line.model, line.arrangement, sparsity);
      ticket.masks = range(this.state.n_seeds).map((seed) => this.mask(line, seed, sparsity));
      return ticket;
    });
    this.lines = [...dense, ...tickets];
    return this.#train(tickets);
  }

  /** The mask that pruning by this share gives the trained network of a seed. */
  mask(line, seed, sparsity) {
    return prune(line.params[seed].trained, this.layers(line), sparsity);
  }

  layers(line) {
    return layersFor(this.job(line, 0));
  }

  async #train(lines) {
    const start = performance.now();
    this.phase = "training";
    this.training = lines;
    this.changed();
    // seed after seed, so that every curve begins early
    const jobs = range(this.state.n_seeds).flatMap((seed) => lines.map((line) => [line, seed]));
    const one = async ([line, seed]) => {
      const hear = (part) => {
        line.parts[seed].push(part);
        this.seconds = (performance.now() - start) / 1000;
        this.changed();
      };
      const { end, params } = await this.pool.train(this.job(line, seed), hear);
      if (params) line.params[seed] = params;
      return end;
    };
    try {
      const ends = await Promise.all(jobs.map(one));
      this.phase = ends.every((end) => end === "done") ? "done" : "stopped";
    } catch (error) {
      this.pool.stop();
      [this.phase, this.error] = ["failed", error.message];
    }
    this.seconds = (performance.now() - start) / 1000;
    this.changed();
  }

  /** Whether every network of the first training has all its steps. */
  get isTrained() {
    return this.phase !== "training" && this.#dense
      .every(({ parts }) => parts.every((list) => list.at(-1)?.step === this.state.n_steps));
  }

  /** Whether their weights are there, too. */
  get isPrunable() {
    return this.isTrained && this.#dense.every(({ params }) => params.filter(Boolean).length === this.state.n_seeds);
  }

  /** The share of the steps that are done, 0 … 1, and how many of the networks. */
  get progress() {
    const lasts = (this.training ?? []).flatMap(({ parts }) => parts.map((list) => list.at(-1)?.step ?? 0));
    const share = lasts.reduce((sum, step) => sum + step, 0) / (lasts.length * this.state.n_steps || 1);
    return { share, n: lasts.length, nDone: lasts.filter((step) => step === this.state.n_steps).length };
  }

  /** What shuffling costs each model in points of accuracy, paired by seed, `[[title, interval], …]`. */
  get costs() {
    const last = (model, arrangement) => this.lines
      .find((line) => line.sparsity === null && line.model === model && line.arrangement === arrangement)
      ?.parts.map((list) => list.at(-1)?.test.accuracy);
    return this.state.models.flatMap((model) => {
      const [plain, shuffled] = [last(model, "plain"), last(model, "shuffled")];
      if (!plain || !shuffled) return [];
      return [[MODELS[model].title, interval(plain.map((accuracy, seed) => accuracy - shuffled[seed]))]];
    });
  }

  /** A line's curve over steps: mean and interval over the seeds that are so far; `of` picks a value of an evaluation. */
  static curve(line, of) {
    const longest = Math.max(...line.parts.map((list) => list.length));
    const points = range(longest).map((i) => {
      const there = line.parts.filter((list) => list.length > i);
      return { step: there[0][i].step, ...interval(there.map((list) => of(list[i]))) };
    });
    return points.filter(({ mean }) => Number.isFinite(mean)); // a training that diverged has no loss
  }
}
