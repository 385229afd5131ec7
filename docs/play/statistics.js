// Intervals over seeds, as `flylab.results.statistics.interval`.

import { QUANTILES } from "./constants.js";

/** The mean with its 95 % interval by Student's t, `{mean, low, high, n}`; the bounds are null for one value. */
export function interval(values) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  if (n < 2) return { mean, low: null, high: null, n };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  const reach = (QUANTILES[n - 2] * deviation) / Math.sqrt(n);
  return { mean, low: mean - reach, high: mean + reach, n };
}

/** An interval as text: "93.6 ± 0.9". */
export function plusMinus({ mean, low, high }, digits = 1) {
  return mean.toFixed(digits) + (low === null ? "" : ` ± ${((high - low) / 2).toFixed(digits)}`);
}
