/**
 * The yardstick of benchmarks: a loop in WebAssembly that only reads floats and adds them up, into one vector of four. It depends on
 * the machine and the hour as a search does, and on nothing of ours, so that a time as a share of it holds elsewhere.
 */

// sum(at, end): the sum of the floats from address `at` to `end`, a multiple of 16 bytes apart. By hand, since it is so small.
const MODULE = [
  [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  [0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7d], // type 0: (i32, i32) -> f32
  [0x02, 0x08, 0x01, 0x01, 0x6d, 0x01, 0x6d, 0x02, 0x00, 0x01], // import "m" "m": memory
  [0x03, 0x02, 0x01, 0x00], // a function of type 0
  [0x07, 0x07, 0x01, 0x03, 0x73, 0x75, 0x6d, 0x00, 0x00], // export "sum"
  [0x0a, 0x39, 0x01, 0x37, 0x01, 0x01, 0x7b], // its body: local 2 is a v128
  [0x03, 0x40], // loop
  [0x20, 0x02, 0x20, 0x00, 0xfd, 0x00, 0x04, 0x00, 0xfd, 0xe4, 0x01, 0x21, 0x02], // local 2 = f32x4.add(local 2, v128.load(at))
  [0x20, 0x00, 0x41, 0x10, 0x6a, 0x22, 0x00, 0x20, 0x01, 0x49, 0x0d, 0x00, 0x0b], // at += 16, again while at < end
  [0x20, 0x02, 0xfd, 0x1f, 0x00, 0x20, 0x02, 0xfd, 0x1f, 0x01, 0x92], // lane 0 + lane 1
  [0x20, 0x02, 0xfd, 0x1f, 0x02, 0x92, 0x20, 0x02, 0xfd, 0x1f, 0x03, 0x92, 0x0b], // + lane 2 + lane 3
];

const PAGE = 65536;
/** Floats of a call before the loop counts: V8 swaps in its optimised code only between calls. */
const WARM_UP = { calls: 100, floats: 1 << 16 };

/** A function that reads copies of these floats once and returns the milliseconds that it took. */
export function streamOf(vectors) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(vectors.byteLength / PAGE) });
  new Float32Array(memory.buffer).set(vectors);
  const module = new WebAssembly.Module(new Uint8Array(MODULE.flat()));
  const { sum } = new WebAssembly.Instance(module, { m: { m: memory } }).exports;
  for (let i = 0; i < WARM_UP.calls; i++) sum(0, Math.min(WARM_UP.floats * 4, vectors.byteLength));
  return () => {
    const start = performance.now();
    sum(0, vectors.byteLength);
    return performance.now() - start;
  };
}
