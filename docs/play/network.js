// One network at work: outputs and gradients of a batch, and steps of Adam.

import { kernel } from "./kernel.js";
import { leavesOf, PADDING, STRIDE } from "./layers.js";

const up4 = (n) => Math.ceil(n / 4) * 4;

/** One network in its own WebAssembly memory, which computes batches of up to `batch` examples. */
export class Network {
  constructor(layers, batch) {
    this.layers = layers;
    this.batch = batch;
    this.columns = up4(batch);
    const leaves = leavesOf(layers);
    this.size = leaves.at(-1).start + leaves.at(-1).size;
    let floats = 4; // address 0 stays free
    const room = (n) => {
      const start = floats;
      floats += up4(n);
      return start;
    };
    const rows = (n) => room(n * this.columns);
    // parameters, their gradient, Adam's two averages, and the mask
    [this.w, this.g, this.mean, this.square, this.mask] = Array.from({ length: 5 }, () => room(this.size));
    this.x = rows(layers[0].rowsIn);
    this.places = layers.map((layer, i) => ({
      w: leaves[2 * i].start,
      b: leaves[2 * i + 1].start,
      z: rows(layer.rowsOut), // before the activation
      h: layer.relu ? rows(layer.rowsOut) : null, // after it
      dz: rows(layer.rowsOut),
      dh: rows(layer.rowsOut),
    }));
    this.kernel = kernel(4 * floats);
    this.floats = this.kernel.floats;
    this.params = this.floats.subarray(this.w, this.w + this.size);
    this.gradient = this.floats.subarray(this.g, this.g + this.size);
    this.step = 0;
    this.isMasked = false;
  }

  /** Start from these parameters; a mask (0 or 1 for each) prunes: those weights stay 0. */
  start(params, mask = null) {
    this.params.set(mask ? params.map((value, i) => value * mask[i]) : params);
    this.floats.fill(0, this.mean, this.mask);
    this.step = 0;
    this.isMasked = mask !== null;
    if (mask) this.floats.set(mask, this.mask);
  }

  /** Take examples (numbers of rows of `x`) as the batch. */
  load(x, numbers) {
    const { floats, columns } = this;
    const length = this.layers[0].rowsIn;
    floats.fill(0, this.x, this.x + length * columns);
    for (let j = 0; j < numbers.length; j++) {
      const row = numbers[j] * length;
      for (let i = 0, at = this.x + j; i < length; i++, at += columns) floats[at] = x[row + i];
    }
  }

  /** Repeat `call(output position, input position, first tap, taps)` for all that a convolution reads. */
  static #taps({ nIn, length, after, kernelSize }, call) {
    for (let p = 0; p < after; p++) {
      const first = p * STRIDE - PADDING;
      const [low, high] = [Math.max(0, -first), Math.min(kernelSize, length - first)];
      // one channel: the taps are consecutive rows, and one product reads all of them
      if (nIn === 1) call(p, first + low, low, high - low);
      else for (let tap = low; tap < high; tap++) call(p, first + tap, tap, 1);
    }
  }

  /** Compute the outputs; returns the place of row 0, in floats. */
  forward() {
    const { kernel: k, columns } = this;
    const row = 4 * columns;
    let input = this.x;
    for (const [i, layer] of this.layers.entries()) {
      const at = this.places[i];
      const [w, z] = [4 * (this.w + at.w), 4 * at.z];
      const { nIn, nOut, rowsOut, fan } = layer;
      k.fillRows(z, 4 * (this.w + at.b), nOut, (rowsOut / nOut) * columns);
      if (layer.kind === "dense") k.product(w, 4 * fan, 4, 4 * input, row, z, row, nOut, columns, nIn);
      else {
        Network.#taps(layer, (p, q, tap, n) => {
          const stride = nIn === 1 ? row : layer.length * row;
          const out = layer.after * row;
          k.product(w + 4 * tap * nIn, 4 * fan, 4, 4 * input + q * row, stride, z + p * row, out, nOut, columns, nIn * n);
        });
      }
      if (layer.residual) k.addRelu(z, 4 * input, 4 * at.h, rowsOut * columns);
      else if (layer.relu) k.relu(z, 4 * at.h, rowsOut * columns);
      input = at.h ?? at.z;
    }
    return input;
  }

  /** Fill `gradient` from the derivatives by the outputs, which stand in the last layer's `dh`. */
  backward() {
    const { kernel: k, columns, floats } = this;
    const row = 4 * columns;
    this.gradient.fill(0);
    for (let i = this.layers.length - 1; i >= 0; i--) {
      const [layer, at, before] = [this.layers[i], this.places[i], this.places[i - 1]];
      const { nIn, nOut, rowsIn, rowsOut, fan } = layer;
      const input = 4 * (before ? (before.h ?? before.z) : this.x);
      const dz = 4 * (layer.relu ? at.dz : at.dh);
      const [w, g] = [4 * (this.w + at.w), 4 * (this.g + at.w)];
      if (layer.relu) k.gate(4 * at.z, 4 * at.dh, dz, rowsOut * columns);
      k.sumRows(dz, 4 * (this.g + at.b), nOut, (rowsOut / nOut) * columns);
      if (before) {
        if (layer.residual) floats.copyWithin(before.dh, at.dh, at.dh + rowsIn * columns);
        else floats.fill(0, before.dh, before.dh + rowsIn * columns);
      }
      if (layer.kind === "dense") {
        k.productT(dz, row, input, row, g, 4 * fan, nOut, nIn, columns);
        if (before) k.product(w, 4, 4 * fan, dz, row, 4 * before.dh, row, nIn, columns, nOut);
        continue;
      }
      const [stride, out] = [nIn === 1 ? row : layer.length * row, layer.after * row];
      Network.#taps(layer, (p, q, tap, n) => {
        const offset = 4 * tap * nIn;
        k.productT(dz + p * row, out, input + q * row, stride, g + offset, 4 * fan, nOut, nIn * n, columns);
        if (before) {
          k.product(w + offset, 4, 4 * fan, dz + p * row, out, 4 * before.dh + q * row, stride, nIn, columns, nOut);
        }
      });
    }
  }

  /**
   * Compare the outputs of the loaded batch with its labels.
   *
   * Returns the sum of the losses (nats) and the number of right answers; with `forGradient`, the derivatives of the
   * mean loss are left where `backward` expects them.
   */
  judge(labels, forGradient = false) {
    const { floats, columns } = this;
    const logits = this.forward();
    const [nOut, d] = [this.layers.at(-1).nOut, this.places.at(-1).dh];
    let [loss, right] = [0, 0];
    if (forGradient) floats.fill(0, d, d + nOut * columns);
    for (let j = 0; j < labels.length; j++) {
      let [best, most] = [0, -Infinity];
      for (let o = 0; o < nOut; o++) {
        const value = floats[logits + o * columns + j];
        if (value > most) [best, most] = [o, value];
      }
      let sum = 0;
      for (let o = 0; o < nOut; o++) sum += Math.exp(floats[logits + o * columns + j] - most);
      loss += most + Math.log(sum) - floats[logits + labels[j] * columns + j];
      right += best === labels[j];
      if (!forGradient) continue;
      for (let o = 0; o < nOut; o++) {
        const share = Math.exp(floats[logits + o * columns + j] - most) / sum;
        floats[d + o * columns + j] = (share - (o === labels[j])) / labels.length;
      }
    }
    return { loss, right };
  }

  /** Take one step of Adam on the loaded batch. */
  learn(labels, rate) {
    const { kernel: k } = this;
    const result = this.judge(labels, true);
    this.backward();
    const n = up4(this.size);
    if (this.isMasked) k.multiply(4 * this.g, 4 * this.mask, n);
    this.step += 1;
    const [c1, c2] = [1 / (1 - 0.9 ** this.step), 1 / (1 - 0.999 ** this.step)];
    k.adam(4 * this.w, 4 * this.g, 4 * this.mean, 4 * this.square, n, rate, c1, c2);
    return result;
  }
}
