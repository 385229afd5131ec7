// Magnitude pruning, as `flylab.models.masks.prune(…, prune_biases=False)`: each layer loses its smallest weights.

import { leavesOf } from "./layers.js";

/** Round half to even, as Python does. */
function rounded(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}

/** The mask of the weights that survive, 1 or 0 for each parameter; biases are kept. */
export function prune(params, layers, sparsity) {
  const mask = new Float32Array(params.length).fill(1);
  for (const { start, size, isBias } of leavesOf(layers)) {
    if (isBias) continue;
    const sizes = params.subarray(start, start + size).map(Math.abs);
    const order = Uint32Array.from(sizes.keys()).sort((i, j) => sizes[j] - sizes[i] || i - j); // largest first
    for (const i of order.subarray(rounded((1 - sparsity) * size))) mask[start + i] = 0;
  }
  return mask;
}

/** The weights of the first layer that are left, one row for each unit; pruned ones are null. */
export function firstLayer(params, mask, layers) {
  const { start, size, shape } = leavesOf(layers)[0];
  const width = size / shape[0];
  return Array.from({ length: shape[0] }, (_, row) =>
    Array.from({ length: width }, (_, i) => {
      const at = start + row * width + i;
      return mask[at] ? params[at] : null;
    }),
  );
}
