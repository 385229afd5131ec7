// The arithmetic of training in WebAssembly with SIMD: two matrix products, and what happens element by element.
//
// A batch stands last: a layer's activations are rows of `batch` numbers, padded to a multiple of 4. All addresses and
// strides are in bytes. Sums are in a fixed order, so that every browser computes the same numbers.

import {
  aboveV, add, addF, addV, andV, assemble, divV, float, func, get, int, lane, less, loadF, loadSplat, loadV, maxV,
  mul, mulV, set, splat, sqrtV, storeF, storeV, sub, subV, while_,
} from "./wasm.js";

const many = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const advance = (local, by) => set(local, add(get(local), by));
const atLeast = (local, n) => less(int(n - 1), get(local));

/** Repeat `body(rows, starts)` for blocks of 4 rows and for those left; `bases` are addresses that move by a stride. */
const byRows = (m, sizes, bases, body) =>
  sizes.flatMap((size) =>
    while_(
      atLeast(m, size),
      ...body(size),
      ...bases.flatMap(([base, stride]) => advance(base, mul(stride, int(size)))),
      set(m, sub(get(m), int(size))),
    ),
  );

// c (m, n) += a (m, k) · b (k, n): a has any strides, rows of b and c are contiguous, n is a multiple of 4
const product = func("product", ["a", "aRow", "aColumn", "b", "bRow", "c", "cRow", "m", "n", "k"], (p, local) => {
  const [right, out, columns, bAt, depth] = many(5, local.int);
  const sums = many(8, local.vector);
  const factors = many(2, local.vector);
  const row = local.vector();
  const starts = many(4, local.int);

  const tile = (rows, vectors) => {
    const sum = (r, v) => sums[r * vectors + v];
    const each = (make) => many(rows, (r) => many(vectors, (v) => make(r, v))).flat(2);
    const place = (r) => add(get(out), mul(get(p.cRow), int(r)));
    return while_(
      atLeast(columns, 4 * vectors),
      each((r, v) => set(sum(r, v), loadV(place(r), 16 * v))),
      many(rows, (r) => set(starts[r], add(get(p.a), mul(get(p.aRow), int(r))))).flat(),
      set(bAt, get(right)),
      set(depth, get(p.k)),
      while_(
        get(depth),
        many(vectors, (v) => set(factors[v], loadV(get(bAt), 16 * v))).flat(),
        many(rows, (r) => [
          ...set(row, loadSplat(get(starts[r]))),
          ...many(vectors, (v) => set(sum(r, v), addV(get(sum(r, v)), mulV(get(row), get(factors[v]))))).flat(),
          ...advance(starts[r], get(p.aColumn)),
        ]).flat(),
        advance(bAt, get(p.bRow)),
        set(depth, sub(get(depth), int(1))),
      ),
      each((r, v) => storeV(place(r), get(sum(r, v)), 16 * v)),
      advance(right, int(16 * vectors)),
      advance(out, int(16 * vectors)),
      set(columns, sub(get(columns), int(4 * vectors))),
    );
  };

  return byRows(p.m, [4, 1], [[p.a, get(p.aRow)], [p.c, get(p.cRow)]], (rows) => [
    set(right, get(p.b)),
    set(out, get(p.c)),
    set(columns, get(p.n)),
    tile(rows, 2),
    tile(rows, 1),
  ]);
});

// c (m, n) += a (m, k) · b (n, k)ᵀ: rows of a and b are contiguous, k is a multiple of 4
const productT = func("productT", ["a", "aRow", "b", "bRow", "c", "cRow", "m", "n", "k"], (p, local) => {
  const [right, out, columns, at, depth] = many(5, local.int);
  const sums = many(8, local.vector);
  const [one, other] = many(2, local.vector);
  const others = [one, other];
  const row = local.vector();

  const tile = (rows, columns_) => {
    const sum = (r, c) => sums[r * columns_ + c];
    const each = (make) => many(rows, (r) => many(columns_, (c) => make(r, c))).flat(2);
    const place = (r) => add(get(out), mul(get(p.cRow), int(r)));
    const total = (v) => addF(addF(lane(v, 0), lane(v, 1)), addF(lane(v, 2), lane(v, 3)));
    return while_(
      atLeast(columns, columns_),
      each((r, c) => set(sum(r, c), splat(float(0)))),
      set(at, int(0)),
      set(depth, get(p.k)),
      while_(
        get(depth),
        many(columns_, (c) => set(others[c], loadV(add(add(get(right), get(at)), mul(get(p.bRow), int(c)))))).flat(),
        many(rows, (r) => [
          ...set(row, loadV(add(add(get(p.a), get(at)), mul(get(p.aRow), int(r))))),
          ...many(columns_, (c) => set(sum(r, c), addV(get(sum(r, c)), mulV(get(row), get(others[c]))))).flat(),
        ]).flat(),
        advance(at, int(16)),
        set(depth, sub(get(depth), int(4))),
      ),
      each((r, c) => storeF(place(r), addF(loadF(place(r), 4 * c), total(get(sum(r, c)))), 4 * c)),
      advance(right, mul(get(p.bRow), int(columns_))),
      advance(out, int(4 * columns_)),
      set(columns, sub(get(columns), int(columns_))),
    );
  };

  return byRows(p.m, [4, 1], [[p.a, get(p.aRow)], [p.c, get(p.cRow)]], (rows) => [
    set(right, get(p.b)),
    set(out, get(p.c)),
    set(columns, get(p.n)),
    tile(rows, 2),
    tile(rows, 1),
  ]);
});

/** A function of `n` (a multiple of 4) elements of arrays; `step` gives the statements for four of them. */
const elementwise = (name, arrays, more, step) =>
  func(name, [...arrays, "n", ...more], (p, local) => [
    while_(
      get(p.n),
      step(p, local),
      ...arrays.map((array) => advance(p[array], int(16))),
      set(p.n, sub(get(p.n), int(4))),
    ),
  ]);

const zero = splat(float(0));
const relu = elementwise("relu", ["z", "h"], [], (p) => storeV(get(p.h), maxV(loadV(get(p.z)), zero)));
// h = x + relu(z), the second layer of flylab's MLP
const addRelu = elementwise("addRelu", ["z", "x", "h"], [], (p) =>
  storeV(get(p.h), addV(loadV(get(p.x)), maxV(loadV(get(p.z)), zero))));
// dz = dh where z > 0, the gradient of relu
const gate = elementwise("gate", ["z", "dh", "dz"], [], (p) =>
  storeV(get(p.dz), andV(loadV(get(p.dh)), aboveV(loadV(get(p.z)), zero))));
const multiply = elementwise("multiply", ["x", "by"], [], (p) =>
  storeV(get(p.x), mulV(loadV(get(p.x)), loadV(get(p.by)))));

// Adam (Kingma & Ba 2015) as optax's: `c1` and `c2` are 1 / (1 − βᵗ)
const adam = elementwise("adam", ["w", "g", "mean", "square"], ["$rate", "$c1", "$c2"], (p, local) => {
  const [g, mean, square] = many(3, local.vector);
  const mixed = (old, b, now) => addV(mulV(splat(float(1 - b)), now), mulV(splat(float(b)), old));
  const root = sqrtV(mulV(get(square), splat(get(p.c2))));
  const step = divV(mulV(get(mean), splat(get(p.c1))), addV(root, splat(float(1e-8))));
  return [
    ...set(g, loadV(get(p.g))),
    ...set(mean, mixed(loadV(get(p.mean)), 0.9, get(g))),
    ...set(square, mixed(loadV(get(p.square)), 0.999, mulV(get(g), get(g)))),
    ...storeV(get(p.mean), get(mean)),
    ...storeV(get(p.square), get(square)),
    ...storeV(get(p.w), subV(loadV(get(p.w)), mulV(splat(get(p.rate)), step))),
  ];
});

// each row of x (m, n) becomes its bias
const fillRows = func("fillRows", ["x", "bias", "m", "n"], (p, local) => {
  const [left, value] = [local.int(), local.vector()];
  return [while_(
    get(p.m),
    set(value, loadSplat(get(p.bias))),
    set(left, get(p.n)),
    while_(get(left), storeV(get(p.x), get(value)), advance(p.x, int(16)), set(left, sub(get(left), int(4)))),
    advance(p.bias, int(4)),
    set(p.m, sub(get(p.m), int(1))),
  )];
});

// sums (m) += x (m, n) summed over its rows' elements
const sumRows = func("sumRows", ["x", "sums", "m", "n"], (p, local) => {
  const [left, sum] = [local.int(), local.vector()];
  return [while_(
    get(p.m),
    set(sum, zero),
    set(left, get(p.n)),
    while_(get(left), set(sum, addV(get(sum), loadV(get(p.x)))), advance(p.x, int(16)), set(left, sub(get(left), int(4)))),
    storeF(get(p.sums), many(4, (i) => lane(get(sum), i)).reduce(addF, loadF(get(p.sums)))),
    advance(p.sums, int(4)),
    set(p.m, sub(get(p.m), int(1))),
  )];
});

let compiled;

/** Return the kernel's functions on a memory of this many bytes, with views of it as `floats`. */
export function kernel(bytes) {
  compiled ??= new WebAssembly.Module(
    assemble([product, productT, relu, addRelu, gate, multiply, adam, fillRows, sumRows]),
  );
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return { ...exports, floats: new Float32Array(memory.buffer) };
}
