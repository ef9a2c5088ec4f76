// Residuals: what the coarse quantizer leaves over of a vector.

/** Takes from each of n vectors the centroid of its list, in place. lists: i32 a vector. */
export function lessCentroids(vectors: usize, n: i32, d: i32, lists: usize, centroids: usize): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, vectors += size, lists += 4) {
    const centroid = centroids + <usize>load<i32>(lists) * size;
    for (let j: usize = 0; j < size; j += 4) {
      store<f32>(vectors + j, load<f32>(vectors + j) - load<f32>(centroid + j));
    }
  }
}

/**
 * Adds to each of n vectors the centroid of the list that its slot (i32, -1 for none) belongs to. Starts ascend; of lists that own
 * nothing and start where the next one does, the last is the owner.
 */
export function addCentroids(
  vectors: usize,
  n: i32,
  d: i32,
  slots: usize,
  starts: usize,
  nlist: i32,
  centroids: usize,
): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, vectors += size, slots += 4) {
    const slot = load<i32>(slots);
    if (slot < 0) continue;
    let low = 0;
    let high = nlist - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (load<i32>(starts + ((<usize>middle) << 2)) <= slot) low = middle;
      else high = middle - 1;
    }
    const centroid = centroids + <usize>low * size;
    for (let j: usize = 0; j < size; j += 4) {
      store<f32>(vectors + j, load<f32>(vectors + j) + load<f32>(centroid + j));
    }
  }
}
