// A small assembler for WebAssembly: numbers in, bytes out. The kernel is written with it, so no binary is stored.

const I32 = 0x7f, F32 = 0x7d, V128 = 0x7b;
const EMPTY = 0x40; // the type of a block without a result

function unsigned(n) {
  const bytes = [];
  do {
    bytes.push((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    n >>>= 7;
  } while (n);
  return bytes;
}

function signed(n) {
  const bytes = [];
  for (;;) {
    const low = n & 0x7f;
    n >>= 7;
    const isLast = (n === 0 && !(low & 0x40)) || (n === -1 && low & 0x40);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

const simd = (code) => [0xfd, ...unsigned(code)];
const binary = (code) => (a, b) => [...a, ...b, ...code];
const at = (address, offset, code, align) => [...address, ...code, align, ...unsigned(offset)];

// expressions: lists of bytes that leave a value on the stack
export const int = (n) => [0x41, ...signed(n)];
export const float = (value) => [0x43, ...new Uint8Array(new Float32Array([value]).buffer)];
export const get = (local) => [0x20, ...unsigned(local)];
export const [add, sub, mul, less] = [0x6a, 0x6b, 0x6c, 0x48].map((code) => binary([code]));
export const [addF, mulF] = [0x92, 0x94].map((code) => binary([code]));
export const [addV, subV, mulV, divV, maxV, andV, aboveV] =
  [0xe4, 0xe5, 0xe6, 0xe7, 0xe9, 0x4e, 0x44].map((code) => binary(simd(code)));
export const sqrtV = (a) => [...a, ...simd(0xe3)];
export const splat = (a) => [...a, ...simd(0x13)];
export const lane = (a, i) => [...a, ...simd(0x1f), i];
export const loadV = (address, offset = 0) => at(address, offset, simd(0x00), 2);
export const loadSplat = (address, offset = 0) => at(address, offset, simd(0x09), 2);
export const loadF = (address, offset = 0) => at(address, offset, [0x2a], 2);

// statements: lists of bytes that leave nothing
export const set = (local, value) => [...value, 0x21, ...unsigned(local)];
export const storeV = (address, value, offset = 0) => at([...address, ...value], offset, simd(0x0b), 2);
export const storeF = (address, value, offset = 0) => at([...address, ...value], offset, [0x38], 2);
/** Repeat statements while an expression is true. */
export const while_ = (condition, ...body) =>
  [0x02, EMPTY, 0x03, EMPTY, ...condition, 0x45, 0x0d, 1, ...body.flat(), 0x0c, 0, 0x0b, 0x0b];

/**
 * Describe a function without a result.
 *
 * `params` are names of its i32 parameters; those that begin with "$" are f32. `write` gets their numbers by name and
 * functions that declare local variables, and returns the statements.
 */
export function func(name, params, write) {
  const types = params.map((param) => (param.startsWith("$") ? F32 : I32));
  const locals = [];
  const declare = (type) => () => params.length + locals.push(type) - 1;
  const names = Object.fromEntries(params.map((param, i) => [param.replace("$", ""), i]));
  const body = write(names, { int: declare(I32), vector: declare(V128), float: declare(F32) }).flat();
  return { name, types, locals, body };
}

const vector = (items) => [...unsigned(items.length), ...items.flat()];
const sized = (bytes) => [...unsigned(bytes.length), ...bytes];
const section = (id, bytes) => [id, ...sized(bytes)];
const text = (words) => sized([...new TextEncoder().encode(words)]);

/** Assemble functions, which are exported by their names, into a module that imports its memory as `env.memory`. */
export function assemble(funcs) {
  const code = ({ locals, body }) => sized([...vector(locals.map((type) => [1, type])), ...body, 0x0b]);
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, vector(funcs.map(({ types }) => [0x60, ...vector(types), 0]))),
    ...section(2, vector([[...text("env"), ...text("memory"), 0x02, 0x00, 1]])),
    ...section(3, vector(funcs.map((_, i) => unsigned(i)))),
    ...section(7, vector(funcs.map(({ name }, i) => [...text(name), 0x00, ...unsigned(i)]))),
    ...section(10, vector(funcs.map(code))),
  ]);
}
