// The random numbers of flylab, bit for bit: NumPy's `RandomState` makes its data, JAX's threefry its first weights.

/** NumPy's legacy generator (Mersenne Twister), seeded by an integer or a list of them. */
export class RandomState {
  constructor(seed) {
    this.key = new Uint32Array(624);
    this.place = 624;
    this.spare = null; // the second of a pair of normal numbers
    if (Array.isArray(seed)) this.#seedByList(seed);
    else this.#seed(seed);
  }

  #seed(seed) {
    const key = this.key;
    key[0] = seed;
    for (let i = 1; i < 624; i++) key[i] = Math.imul(1812433253, key[i - 1] ^ (key[i - 1] >>> 30)) + i;
  }

  #seedByList(list) {
    this.#seed(19650218);
    const key = this.key;
    let [i, j] = [1, 0];
    const next = () => {
      if (++i >= 624) [key[0], i] = [key[623], 1];
    };
    for (let k = Math.max(624, list.length); k; k--) {
      key[i] = (key[i] ^ Math.imul(key[i - 1] ^ (key[i - 1] >>> 30), 1664525)) + list[j] + j;
      next();
      if (++j >= list.length) j = 0;
    }
    for (let k = 623; k; k--) {
      key[i] = (key[i] ^ Math.imul(key[i - 1] ^ (key[i - 1] >>> 30), 1566083941)) - i;
      next();
    }
    key[0] = 0x80000000;
  }

  #refill() {
    const key = this.key;
    for (let i = 0; i < 624; i++) {
      const y = (key[i] & 0x80000000) | (key[(i + 1) % 624] & 0x7fffffff);
      key[i] = key[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  /** A uniform 32-bit integer. */
  word() {
    if (this.place === 624) this.#refill();
    let y = this.key[this.place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A uniform number in [0, 1), as `random_sample()`. */
  uniform() {
    const high = this.word() >>> 5;
    return (high * 67108864 + (this.word() >>> 6)) / 9007199254740992;
  }

  /** A uniform integer from 0 to `most`, as `randint(most + 1)`. */
  integer(most) {
    if (most === 0) return 0;
    const mask = 2 ** (32 - Math.clz32(most)) - 1;
    let value;
    do value = (this.word() & mask) >>> 0;
    while (value > most);
    return value;
  }

  /** A standard normal number, as `standard_normal()`: Marsaglia's polar method, in pairs. */
  normal() {
    if (this.spare !== null) {
      const spare = this.spare;
      this.spare = null;
      return spare;
    }
    let a, b, square;
    do {
      a = 2 * this.uniform() - 1;
      b = 2 * this.uniform() - 1;
      square = a * a + b * b;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    this.spare = factor * a;
    return factor * b;
  }

  /** The numbers 0 … n − 1 in random order, as `permutation(n)`. */
  permutation(n) {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];

/** Encrypt two words under a key of two words: threefry-2x32 with 20 rounds (Salmon et al. 2011). */
function threefry(key, first, second) {
  const schedule = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd11bda];
  let x = (first + schedule[0]) | 0;
  let y = (second + schedule[1]) | 0;
  for (let i = 0; i < 5; i++) {
    for (const r of ROTATIONS[i % 2]) {
      x = (x + y) | 0;
      y = ((y << r) | (y >>> (32 - r))) ^ x;
    }
    x = (x + schedule[(i + 1) % 3]) | 0;
    y = (y + schedule[(i + 2) % 3] + i + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
}

/** JAX's keys: `jax.random.key(seed)`, `fold_in(key, word)` and `split(key, n)`. */
export const keyOf = (seed) => [0, seed >>> 0];
export const foldIn = (key, word) => threefry(key, 0, word);
export const split = (key, n = 2) => Array.from({ length: n }, (_, i) => threefry(key, 0, i));

const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);

/** Fill an array from U(−1/√fanIn, 1/√fanIn), as flylab's layers are initialised. */
export function fillUniform(array, key, fanIn) {
  const bound = Math.fround(fanIn ** -0.5);
  const width = Math.fround(2 * bound);
  for (let i = 0; i < array.length; i++) {
    const [x, y] = threefry(key, 0, i);
    bits[0] = ((x ^ y) >>> 9) | 0x3f800000; // a number in [1, 2)
    array[i] = Math.max(-bound, Math.fround(Math.fround(asFloat[0] - 1) * width) - bound);
  }
}
