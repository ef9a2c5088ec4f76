// RVC's retrieval: each feature moves towards the weighted mean of its neighbours.

/**
 * Blends n features with their neighbours, in place: f = rate * sum(w_i v_i) + (1 - rate) f.
 *
 * w_i is (s_min / s_i)², divided by the sum over the row: RVC's (1 / s)², which overflows at s = 0. Neighbours at distance 0
 * share the whole weight. distances and slots: n x k, best first, slot -1 for a missing neighbour, which has no weight;
 * a row without neighbours stays. rows: the storage that slots index, or, where they are inOrder, the n x k
 * neighbours one after the other, as they were made of codes. weights: k floats of scratch; mean: d floats.
 */
export function blendRows(
  features: usize,
  n: i32,
  d: i32,
  rate: f32,
  k: i32,
  distances: usize,
  slots: usize,
  rows: usize,
  inOrder: bool,
  weights: usize,
  mean: usize,
): void {
  const size = (<usize>d) << 2;
  const body = (<usize>(d & ~3)) << 2;
  const keep: f32 = 1 - rate;
  const step: usize = inOrder ? <usize>k * size : 0;
  for (let i = 0; i < n; i++, features += size, distances += (<usize>k) << 2, slots += (<usize>k) << 2, rows += step) {
    if (load<i32>(slots) < 0) continue;
    const nearest = load<f32>(distances);
    let total: f32 = 0;
    for (let j: usize = 0, end = (<usize>k) << 2; j < end; j += 4) {
      let w: f32 = 0;
      if (load<i32>(slots + j) >= 0) {
        const s = load<f32>(distances + j);
        const ratio: f32 = nearest > 0 ? nearest / s : s > 0 ? 0 : 1;
        w = ratio * ratio;
      }
      store<f32>(weights + j, w);
      total += w;
    }
    memory.fill(mean, 0, size);
    for (let j: usize = 0, end = (<usize>k) << 2; j < end; j += 4) {
      const w = load<f32>(weights + j) / total;
      if (w == 0) continue;
      const row = rows + (inOrder ? j >> 2 : <usize>load<u32>(slots + j)) * size;
      const w4 = f32x4.splat(w);
      let at: usize = 0;
      for (; at < body; at += 16) {
        v128.store(mean + at, f32x4.add(v128.load(mean + at), f32x4.mul(w4, v128.load(row + at))));
      }
      for (; at < size; at += 4) store<f32>(mean + at, load<f32>(mean + at) + w * load<f32>(row + at));
    }
    for (let at: usize = 0; at < size; at += 4) {
      store<f32>(features + at, rate * load<f32>(mean + at) + keep * load<f32>(features + at));
    }
  }
}
