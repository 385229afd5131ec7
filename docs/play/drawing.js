// Pictures as SVG text, in the colours of the page, at the width of their place, so that text keeps its size.

import { CLASSES } from "./constants.js";

export const DASHES = { plain: "", shuffled: "7 4", "plain pruned": "2 3", "shuffled pruned": "9 3 2 3" };

const escape = (words) => String(words).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const short = (value) => String(Math.round(value * 100) / 100);
const label = (x, y, words, anchor = "start", more = "") =>
  `<text x="${short(x)}" y="${short(y)}" text-anchor="${anchor}" ${more}>${escape(words)}</text>`;

/** An SVG of this size in pixels; screen readers read the description. */
export const picture = (width, height, description, parts) =>
  `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(description)}">` +
  `${parts.join("")}</svg>`;

/** A line through points; `places` are [x, y]. */
function line(places, colour, width = 1.6, dash = "") {
  const points = places.map(([x, y]) => `${short(x)},${short(y)}`).join(" ");
  return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-dasharray="${dash}"/>`;
}

/** A signal in a box, zero in the middle: positions to the right, values upwards. */
function trace(signal, [left, top, width, height], bound, colour) {
  const last = Math.max(signal.length - 1, 1);
  return line([...signal].map((value, i) => [left + (width * i) / last, top + (height / 2) * (1 - value / bound)]), colour);
}

const bounds = (signals) => Math.max(1e-9, ...signals.map((signal) => Math.max(...signal.map(Math.abs))));

/** The steps that make an example, `[[title, signal], …]`, side by side or in rows, all to one scale. */
export function steps(named, ink, description, width) {
  const columns = Math.min(named.length, Math.max(3, Math.floor(width / 105)));
  const [cell, height] = [width / columns, 92];
  const bound = bounds(named.map(([, signal]) => signal));
  const parts = named.flatMap(([title, signal], i) => {
    const [left, top] = [(i % columns) * cell, Math.floor(i / columns) * height];
    const box = [left + 5, top + 22, cell - 10, height - 30];
    return [
      label(left + 5, top + 14, title),
      `<rect class="box" x="${short(left + 1)}" y="${top + 19}" width="${short(cell - 4)}" height="${height - 24}" rx="4"/>`,
      trace(signal, box, bound, CLASSES[ink]),
    ];
  });
  return picture(width, Math.ceil(named.length / columns) * height, description, parts);
}

/** Examples of each class, one column for each: `{label, signals}`. */
export function examples(classes, description, width) {
  const columns = Math.min(classes.length, width < 500 ? 5 : 10);
  const [cell, height, nEach] = [width / columns, 30, classes[0].signals.length];
  const block = 18 + nEach * height;
  const bound = bounds(classes.flatMap(({ signals }) => signals));
  const parts = classes.flatMap(({ label: name, signals }, i) => {
    const [left, top] = [(i % columns) * cell, Math.floor(i / columns) * (block + 6)];
    const drawn = signals.map((signal, row) =>
      trace(signal, [left + 5, top + 18 + row * height + 2, cell - 12, height - 4], bound, CLASSES[name]));
    return [label(left + cell / 2, top + 13, name, "middle", 'font-weight="600"'), ...drawn];
  });
  return picture(width, Math.ceil(classes.length / columns) * (block + 6), description, parts);
}

/** About `n` round numbers from `low` to `high`. */
export function ticks(low, high, n = 5) {
  const raw = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => raw <= s * 1.001);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(10)));
}

/**
 * Learning curves with bands.
 *
 * A curve is `{title, colour, dash, points}`, a point `{step, mean, low, high}`; bounds may be null.
 */
export function curves(drawn, { xMax, yMax, xLabel, yLabel, width, height }) {
  const [left, top, right, bottom] = [40, 28, 20, 38];
  const [w, h] = [width - left - right, height - top - bottom];
  const px = (step) => left + (w * step) / xMax;
  const py = (value) => top + h * (1 - Math.min(Math.max(value, 0), yMax) / yMax);
  const parts = [label(4, 14, yLabel), label(left + w / 2, height - 5, xLabel, "middle")];
  for (const value of ticks(0, yMax)) {
    parts.push(`<line class="grid" x1="${left}" x2="${left + w}" y1="${short(py(value))}" y2="${short(py(value))}"/>`);
    parts.push(label(left - 6, py(value) + 4, value, "end"));
  }
  const steps_ = ticks(0, xMax, width < 420 ? 3 : 5);
  steps_.forEach((step) => parts.push(label(px(step), top + h + 17, step, "middle")));
  for (const { colour, points } of drawn) {
    const banded = points.filter(({ low }) => low !== null);
    const edge = [...banded.map(({ step, high }) => [px(step), py(high)]),
                  ...banded.reverse().map(({ step, low }) => [px(step), py(low)])];
    parts.push(`<polygon points="${edge.map((p) => p.map(short).join(",")).join(" ")}" fill="${colour}" opacity=".16"/>`);
  }
  for (const { title, colour, dash, points } of drawn) {
    parts.push(line(points.map(({ step, mean }) => [px(step), py(mean)]), colour, 2.2, DASHES[dash]));
    for (const { step, mean } of points) {
      const words = `${title}: ${mean.toFixed(2)} at step ${step}`;
      parts.push(`<circle cx="${short(px(step))}" cy="${short(py(mean))}" r="6" fill="transparent"><title>${escape(words)}</title></circle>`);
    }
  }
  const ends = drawn.filter(({ points }) => points.length).map(({ title, points }) => `${title} ${points.at(-1).mean.toFixed(1)}`);
  return picture(width, height, `${yLabel} against ${xLabel}. ${ends.join("; ")}`, parts);
}

/** A piece of a line, for a table that is also the legend. */
export const swatch = (colour, dash) =>
  `<svg width="34" height="10" aria-hidden="true"><line x1="1" x2="33" y1="5" y2="5" stroke="${colour}" stroke-width="2.4" ` +
  `stroke-dasharray="${DASHES[dash]}"/></svg>`;

/**
 * Draw the weights of a layer's first units on a canvas, one row for each unit: blue is positive, orange negative,
 * empty pruned.
 */
export function drawWeights(canvas, rows, most = 48) {
  const [positive, negative] = [CLASSES[0], CLASSES[1]];
  const kept = rows.slice(0, most);
  const cell = Math.max(3, Math.min(12, Math.floor(190 / kept[0].length), Math.floor(200 / kept.length)));
  const bound = Math.max(1e-9, ...kept.flat().map((value) => Math.abs(value ?? 0)));
  const zoom = globalThis.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [kept[0].length * cell * zoom, kept.length * cell * zoom];
  [canvas.style.width, canvas.style.height] = [`${kept[0].length * cell}px`, `${kept.length * cell}px`];
  const context = canvas.getContext("2d");
  context.scale(zoom, zoom);
  kept.forEach((row, r) => row.forEach((value, c) => {
    if (value === null) return;
    context.globalAlpha = 0.25 + 0.75 * Math.min(1, Math.abs(value) / bound);
    context.fillStyle = value > 0 ? positive : negative;
    context.fillRect(c * cell, r * cell, cell - 0.5, cell - 0.5);
  }));
}
