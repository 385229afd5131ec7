// Logistic regression, MLP and CNN as in flylab (src/flylab/models): their layers, parameters and first weights.

import { STREAMS } from "./constants.js";
import { fillUniform, foldIn, keyOf, split } from "./random.js";

export const PADDING = 1, STRIDE = 2; // of the published CNN's convolutions

const dense = (name, nIn, nOut, more = {}) => ({ name, kind: "dense", nIn, nOut, rowsIn: nIn, rowsOut: nOut, fan: nIn, ...more });

function conv(name, nIn, nOut, kernelSize, length) {
  const after = Math.floor((length + 2 * PADDING - kernelSize) / STRIDE) + 1;
  if (after < 1) throw new RangeError(`${length} points are too few for the CNN`);
  const sizes = { nIn, nOut, length, after, kernelSize, rowsIn: nIn * length, rowsOut: nOut * after };
  return { name, kind: "conv", ...sizes, fan: nIn * kernelSize, relu: true };
}

/** The layers of a network: "logistic", "mlp" (two hidden layers, the second residual) or "cnn" (kernels 5, 3, 3). */
export function layersOf(model, length, nOutputs, width = model === "mlp" ? 100 : 25) {
  if (model === "logistic") return [dense("output", length, nOutputs)];
  if (model === "mlp") {
    return [
      dense("hidden1", length, width, { relu: true }),
      dense("hidden2", width, width, { relu: true, residual: true }),
      dense("output", width, nOutputs),
    ];
  }
  const layers = [conv("conv1", 1, width, 5, length)];
  for (const name of ["conv2", "conv3"]) layers.push(conv(name, width, width, 3, layers.at(-1).after));
  return [...layers, dense("output", layers.at(-1).rowsOut, nOutputs)];
}

/** Weights and biases in the order in which they lie in the vector of parameters: `{name, layer, start, size, shape}`. */
export function leavesOf(layers) {
  let start = 0;
  const leaf = (layer, name, shape) => {
    const size = shape.reduce((a, b) => a * b);
    start += size;
    return { name: `${layer.name}.${name}`, layer: layer.name, isBias: name === "b", start: start - size, size, shape };
  };
  return layers.flatMap((layer) => {
    const shape = layer.kind === "conv" ? [layer.nOut, layer.kernelSize, layer.nIn] : [layer.nOut, layer.nIn];
    return [leaf(layer, "w", shape), leaf(layer, "b", [layer.nOut])];
  });
}

/** The first weights of the network of a seed, the same as flylab's. */
export function initialParams(layers, seed) {
  const leaves = leavesOf(layers);
  const params = new Float32Array(leaves.at(-1).start + leaves.at(-1).size);
  const key = foldIn(foldIn(keyOf(0), seed), STREAMS.init); // as `train_members`
  const keys = layers.length === 1 ? [key] : split(key, layers.length);
  layers.forEach((layer, i) => {
    split(keys[i]).forEach((k, j) => {
      const { start, size } = leaves[2 * i + j];
      fillUniform(params.subarray(start, start + size), k, layer.fan);
    });
  });
  return params;
}
