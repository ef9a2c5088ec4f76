import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { splitEmpty } from "../training/kmeans.js";
import { copySample } from "../training/sample.js";
import { permutation } from "../work/random.js";
import type { Pace } from "../work/pace.js";
import { Engine } from "../wasm/engine.js";

/** Iterations of k-means, and training vectors a centroid: faiss' defaults. More are sampled down, fewer give a warning. */
const ITERATIONS = 25;
const MAX_POINTS = 256;
const MIN_POINTS = 39;
/** Bits of a number at most: kernels read it from three bytes. faiss allows 24, which nobody can train. */
export const MAX_BITS = 16;
/** Bits of the numbers that can be packed. */
const PACKED_BITS = 4;

/**
 * A product quantizer: cuts vectors of d dimensions into M sub-vectors and keeps of each the number of the nearest of 2^nbits
 * centroids. A vector becomes M numbers.
 */
export class ProductQuantizer {
  readonly d: number;
  readonly M: number;
  readonly nbits: number;
  /** Centroids of a sub-quantizer. */
  readonly K: number;
  /** Centroids of a sub-quantizer in the transposed codebook, those that are not there being infinitely far away. */
  readonly lanes: number;
  readonly #engine: Engine;
  /** Addresses of the codebook, f32 [M][K][d / M], and of its transposed form; 0 until there is one. */
  #codebook = 0;
  #transposed = 0;

  /**
   * @param M sub-quantizers, a divisor of d
   * @param nbits 1 to {@link MAX_BITS}
   */
  constructor(engine: Engine, d: number, M: number, nbits: number) {
    this.#engine = engine;
    this.d = d;
    this.M = M;
    this.nbits = nbits;
    this.K = 2 ** nbits;
    this.lanes = Math.max(this.K, 16);
  }

  /** Address of the codebook. */
  get codebook(): number {
    return this.#codebook;
  }

  /** Address of the transposed codebook: what searches take tables from. */
  get transposed(): number {
    return this.#transposed;
  }

  /** Address of where packed codes have each sub-quantizer (i32), the widest first; 0 until there is a codebook. */
  get places(): number {
    return this.#transposed === 0 ? 0 : this.#transposed + this.d * this.lanes * 4;
  }

  /** Address of the squared lengths of packed codes' centroids, f32 [M][16]. */
  get lengths(): number {
    return this.places + (this.M + 1) * 4;
  }

  /** Bytes of a vector's code in a file, before packing. */
  get codeBytes(): number {
    return Math.ceil((this.M * this.nbits) / 8);
  }

  /**
   * Learns a codebook by k-means on every sub-vector, as faiss: 25 iterations, at most 256 vectors a centroid. All sub-quantizers go
   * in step, in an engine of their own. Rejects with ERR_PARAMETER for fewer than 2^nbits vectors, ERR_MEMORY, or the signal's
   * reason, having changed nothing.
   *
   * @param vectors n x d, read before the promise is returned
   */
  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    const { d, M, K } = this;
    const sub = d / M;
    const given = vectors.length / d;
    if (given < K) {
      fail("ERR_PARAMETER", `got ${given} training vectors for ${K} centroids a sub-quantizer: give as many at least`);
    }
    if (given < K * MIN_POINTS) {
      const wanted = `give ${K * MIN_POINTS}`;
      this.#engine.warn("WARN_FEW_POINTS", `${given} training vectors for ${K} centroids a sub-quantizer: ${wanted}`);
    }
    const engine = new Engine(this.#engine.options);
    const { kernels, span } = engine;
    const n = Math.min(given, K * MAX_POINTS);
    const data = engine.allocate(n * d * 4);
    copySample(vectors, d, n, seed, engine.f32, data >>> 2);
    const { nbits, lanes } = this;
    const bytes = d * K * 4;
    const codebook = engine.allocate(bytes);
    const transposed = engine.allocate(d * lanes * 4);
    const sums = engine.allocate(bytes);
    const counts = engine.allocate(M * K * 4);
    const errors = engine.allocate(M * 8);
    const order = permutation(n, seed + 1, K);
    for (let m = 0; m < M; m++) {
      for (let c = 0; c < K; c++) {
        const from = (data >>> 2) + order[c] * d + m * sub;
        engine.f32.copyWithin((codebook >>> 2) + (m * K + c) * sub, from, from + sub);
      }
    }
    let before = Infinity;
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      kernels.transposeCodebook(codebook, M, K, lanes, sub, transposed);
      engine.u8.fill(0, sums, sums + bytes);
      engine.u8.fill(0, counts, counts + M * K * 4);
      engine.u8.fill(0, errors, errors + M * 8);
      for (let i = 0; i < n; i += span) {
        const count = Math.min(span, n - i);
        kernels.trainProduct(data + i * d * 4, count, M, M, nbits, lanes, sub, transposed, sums, counts, errors);
        await pace.step("product quantizer", iteration * n + i + count, ITERATIONS * n);
      }
      kernels.average(sums, counts, M * K, sub);
      // Mostly none is empty, and to look at each sub-quantizer by itself took 4 ms.
      const anyEmpty = engine.i32.subarray(counts >>> 2, (counts >>> 2) + M * K).includes(0);
      for (let m = 0; anyEmpty && m < M; m++) {
        const at = (sums >>> 2) + m * K * sub;
        const tally = (counts >>> 2) + m * K;
        splitEmpty(engine.f32.subarray(at, at + K * sub), engine.i32.subarray(tally, tally + K), n);
        await pace.step("product quantizer", (iteration + 1) * n, ITERATIONS * n);
      }
      engine.u8.copyWithin(codebook, sums, sums + bytes);
      const total = engine.f64.subarray(errors >>> 3, (errors >>> 3) + M).reduce((sum, error) => sum + error, 0);
      if (total === before) break;
      before = total;
    }
    await pace.step("product quantizer", ITERATIONS * n, ITERATIONS * n);
    this.setCodebook(engine.f32.subarray(codebook >>> 2, (codebook >>> 2) + d * K));
  }

  /** Takes a codebook, [M][K][d / M]. Throws ERR_MEMORY, having changed nothing. */
  setCodebook(codebook: Float32Array): void {
    const { d, M, K, lanes, nbits } = this;
    const engine = this.#engine;
    const isPacked = nbits === PACKED_BITS;
    const own = engine.allocate(codebook.byteLength);
    let transposed;
    try {
      transposed = engine.allocate(d * lanes * 4 + (M + 1 + (isPacked ? M * K : 0)) * 4);
    } catch (error) {
      engine.release(own);
      throw error;
    }
    engine.f32.set(codebook, own >>> 2);
    this.clear();
    this.#codebook = own;
    this.#transposed = transposed;
    if (isPacked) {
      // Spreads stand for a moment where the transposed codebook is going to.
      engine.kernels.measureCodebook(own, M, d / M, this.lengths, transposed);
      const spreads = engine.f64.subarray(transposed >>> 3, (transposed >>> 3) + M);
      const order = [...spreads.keys()].sort((a, b) => spreads[b] - spreads[a]);
      // Behind them, the one that an odd M lacks.
      for (const [place, m] of [...order, M].entries()) engine.i32[(this.places >>> 2) + m] = place;
    }
    engine.kernels.transposeCodebook(own, M, K, lanes, d / M, transposed);
  }

  /** Forgets the codebook. */
  clear(): void {
    this.#engine.release(this.#codebook);
    this.#engine.release(this.#transposed);
    this.#codebook = this.#transposed = 0;
  }

  /** Writes the numbers of n vectors (addresses; n x M bytes); for 4 bits. */
  quantize(vectors: number, n: number, numbers: number): void {
    this.#engine.kernels.quantize(vectors, n, this.M, this.lanes, this.d / this.M, this.#transposed, numbers, 0);
  }

  /** Writes the vectors that n x M numbers stand for. */
  dequantize(numbers: number, n: number, vectors: number): void {
    this.#engine.kernels.dequantize(numbers, n, this.M, this.K, this.d / this.M, this.#codebook, vectors);
  }

  /** Writes d, M, nbits and the codebook, which is zeros before training, as in faiss. */
  write(writer: Writer): void {
    writer.i64(this.d);
    writer.i64(this.M);
    writer.i64(this.nbits);
    writer.i64(this.d * this.K);
    const bytes = this.d * this.K * 4;
    writer.raw(
      this.#codebook === 0 ? new Uint8Array(bytes) : this.#engine.u8.subarray(this.#codebook, this.#codebook + bytes),
    );
  }

  /** Reads a quantizer of at least `least` and at most `most` bits for vectors of d dimensions. */
  static async read(reader: Reader, engine: Engine, d: number, least: number, most: number): Promise<ProductQuantizer> {
    const givenD = await reader.count("d of the product quantizer", Number.MAX_SAFE_INTEGER);
    if (givenD !== d) reader.wrong("d of the product quantizer", 8, `is ${givenD}, not ${d}`);
    const M = await reader.count("M", d);
    if (M === 0 || d % M !== 0) reader.wrong("M", 8, `is ${M}, no divisor of d = ${d}`);
    const nbits = await reader.count("nbits", 0xffff);
    if (nbits < least || nbits > most) {
      reader.wrong("nbits", 8, `is ${nbits}, not ${least === most ? least : `from ${least} to ${most}`}`);
    }
    const size = d * 2 ** nbits;
    await reader.vectorCount("codebook", 4, size);
    const quantizer = new ProductQuantizer(engine, d, M, nbits);
    quantizer.setCodebook(new Float32Array((await reader.bytes("codebook", size * 4)).buffer));
    return quantizer;
  }
}
