// Vectors so small that their squared distances are subnormal floats, which an AudioWorklet of Firefox takes for zeros, for WebAssembly and
// not for JavaScript. There distances may be others than elsewhere, so that no checksum has them; that bounds leave out no row that a plain scan
// finds, and that every loop ends, holds with zeros, too.

const [D, N, K] = [128, 400, 8];
/** What rows and queries are multiplied by: squared distances of all kinds, of some, and of hardly any are subnormal, or are zeros. */
const SCALES = [2 ** -62, 2 ** -67, 2 ** -72, 2 ** -140];
/** The least float that is not subnormal: at most so much of each of D products is lost, where they are zeros. */
const LEAST = 2 ** -126;

/** Indexes, and what they are searched with: all that is searched by bounds, by codes of rows, and by 4-bit codes. */
const KINDS = [
  ["Flat", 1, {}],
  ["Flat", 0, {}],
  ["IVF8,Flat", 1, { nprobe: 8 }],
  ["IVF8,Flat", 0, { nprobe: 8 }],
  ["IVF24,Flat", 1, { nprobe: 4 }],
  ["IVF8,PQ32x4fs,RFlat", 1, { nprobe: 8, kFactor: 200 }],
];

/** Throws unless vectors of all these sizes are found as a plain scan finds them. `base` has N x D floats at least. */
export async function checkTiny({ indexFactory, readIndex }, base, engine = {}) {
  for (const scale of SCALES) {
    const rows = base.slice(0, N * D).map((x) => x * scale);
    // None of them a row itself.
    const queries = rows.slice(0, 10 * D).map((x, i) => x + 0.3 * rows[(i * 7 + 50 * D) % rows.length]);
    for (const [description, metric, options] of KINDS) {
      const what = `${description}, metric ${metric}, vectors times ${scale}`;
      const made = await indexFactory(D, description, metric, { ...engine });
      await made.train(rows);
      await made.add(rows);
      const bytes = await made.toBytes();
      await made.dispose();
      const index = await readIndex(bytes, { ...engine });
      const plain = await readIndex(bytes, { ...engine, bounds: false });
      const expected = await plain.search(queries, K, options);
      for (const when of ["at first", "after warmUp"]) {
        const found = await index.search(queries, K, options);
        for (const part of ["distances", "labels"]) {
          const other = found[part].findIndex((x, i) => x !== expected[part][i]);
          if (other >= 0)
            throw new Error(
              `${what}: ${part} ${other} ${when} is ${found[part][other]}, plainly ${expected[part][other]}`,
            );
        }
        await index.warmUp({ batch: 10, k: K, ...options });
      }
      if (options.nprobe !== 4) checkDistances(what, rows, queries, metric, expected);
      await index.dispose();
      await plain.dispose();
    }
  }
}

/** Throws unless distances are what doubles say, and those of the nearest rows, flushed or not. */
function checkDistances(what, rows, queries, metric, { distances, labels }) {
  for (let q = 0; q < queries.length / D; q++) {
    const exact = Array.from({ length: N }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < D; i++) {
        const [x, y] = [queries[q * D + i], rows[row * D + i]];
        sum += metric === 1 ? (x - y) ** 2 : x * y;
      }
      return sum;
    });
    const sorted = exact.slice().sort((a, b) => (metric === 1 ? a - b : b - a));
    const size = Math.max(...exact.map(Math.abs));
    // Of a difference what is below the least float may be lost before it is squared, too.
    const slack = 1e-5 * size + D * LEAST + 4 * D * LEAST * Math.sqrt(size);
    for (let i = 0; i < K; i++) {
      const label = Number(labels[q * K + i]);
      if (!(Math.abs(exact[label] - distances[q * K + i]) <= slack))
        throw new Error(`${what}: row ${label} is at ${distances[q * K + i]}, in doubles ${exact[label]}`);
      if (!(Math.abs(exact[label] - sorted[i]) <= 2 * slack))
        throw new Error(`${what}: neighbour ${i} is at ${exact[label]}, the true one at ${sorted[i]}`);
    }
  }
}
