/** Where the search for a scale begins, as a share of its end, by the bits of a magnitude: below it the best is never found (faiss'). */
const START = [0, 0.15, 0.2, 0.52, 0.59, 0.71, 0.75, 0.77, 0.81];
/** The search ends where the largest magnitude would be so many levels beyond the last. */
const BEYOND = 10;
/** What rounding may have left of a whole number. */
const EPSILON = 1e-5;

/**
 * Rounds magnitudes, d numbers of which the squares sum to 1, down to whole numbers n of `bits` bits, by the scale at which n + .5 point
 * most nearly in their direction (RaBitQ of several bits: Gao et al., 2025). From scale to scale one number rises by one: they are
 * visited in order, by a heap of what each one's next is.
 */
export function roundMagnitudes(magnitudes: Float32Array, bits: number): Int32Array {
  const d = magnitudes.length;
  const most = 2 ** bits - 1;
  const end = (most + BEYOND) / magnitudes.reduce((a, b) => Math.max(a, b), 0);
  const start = end * START[bits];
  const numbers = Int32Array.from(magnitudes, (x) => Math.min(most, Math.floor(start * x + EPSILON)));
  let square = d / 4;
  let product = 0;
  const heap: number[] = [];
  const scales = new Float64Array(d);
  /** Puts a number's next scale into the heap, from position i of it on, if there is one. */
  const sink = (i: number, j: number): void => {
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && scales[heap[child + 1]] < scales[heap[child]]) child++;
      if (scales[heap[child]] >= scales[j]) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = j;
  };
  magnitudes.forEach((x, j) => {
    square += numbers[j] * (numbers[j] + 1);
    product += (numbers[j] + 0.5) * x;
    scales[j] = (numbers[j] + 1) / x;
    if (numbers[j] < most && scales[j] < end) heap.push(j);
  });
  for (let i = heap.length >> 1; i-- > 0;) sink(i, heap[i]);

  let best = 0;
  let scale = start;
  const next = numbers.slice();
  while (heap.length > 0) {
    const j = heap[0];
    const at = scales[j];
    next[j]++;
    square += 2 * next[j];
    product += magnitudes[j];
    const along = product / Math.sqrt(square);
    if (along > best) {
      best = along;
      scale = at;
    }
    scales[j] = (next[j] + 1) / magnitudes[j];
    if (next[j] < most && scales[j] < end) sink(0, j);
    else {
      const last = heap.pop() ?? j;
      if (heap.length > 0) sink(0, last);
    }
  }
  return numbers.map((_, j) => Math.min(most, Math.floor(scale * magnitudes[j] + EPSILON)));
}
