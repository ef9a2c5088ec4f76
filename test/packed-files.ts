// What stands in faiss files of packed codes, by reference/file-format.md and without a line of src/.

/** Vectors of one list: their ids and, for each, M numbers from 0 to 15. */
export interface PackedList {
  ids: bigint[];
  numbers: Uint8Array;
}

/** What an `IPfs` or `IwPf` file says. */
export interface PackedFile {
  d: number;
  M: number;
  bbs: number;
  /** [M][16][d / M]. */
  codebook: Float32Array;
  /** nlist x d, or nothing in an `IPfs` file. */
  centroids: Float32Array;
  residual: boolean;
  /** One, of all vectors, in an `IPfs` file. */
  lists: PackedList[];
}

/** Reads an `IPfs` file, or an `IwPf` file with a flat coarse quantizer and without a direct map. */
export function parsePacked(bytes: Uint8Array): PackedFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const i32 = (): number => view.getInt32((at += 4) - 4, true);
  const i64 = (): number => Number(view.getBigInt64((at += 8) - 8, true));
  const take = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(bytes.subarray(at, (at += length)));
  const floats = (count: number): Float32Array => new Float32Array(take(count * 4).buffer);
  const header = (): { fourcc: string; d: number; ntotal: number } => {
    const fourcc = String.fromCharCode(...take(4));
    const [d, ntotal] = [i32(), i64()];
    at += 8 + 8 + 1 + 4;
    return { fourcc, d, ntotal };
  };
  const quantizer = (): { M: number; codebook: Float32Array } => {
    const [, M] = [i64(), i64(), i64()];
    return { M, codebook: floats(i64()) };
  };

  const { fourcc, d, ntotal } = header();
  if (fourcc === "IPfs") {
    const { M, codebook } = quantizer();
    const [, bbs] = [i32(), i32(), i32(), i64(), i64()];
    const ids = Array.from({ length: ntotal }, (_, i) => BigInt(i));
    const lists = [{ ids, numbers: unpacked(take(i64()), ntotal, M, bbs) }];
    return { d, M, bbs, codebook, centroids: new Float32Array(0), residual: false, lists };
  }
  if (fourcc !== "IwPf") throw new Error(`"${fourcc}" is no file of packed codes`);
  const [nlist] = [i64(), i64()];
  header();
  const centroids = floats(i64());
  at += 1 + 8; // no direct map
  const residual = take(1)[0] === 1;
  i64();
  const bbs = i32();
  at += 8 + 4 + 8;
  const { M, codebook } = quantizer();
  at += 4 + 8 * 4;
  const lists = Array.from({ length: nlist }, (): PackedList => {
    const ids = [...new BigInt64Array(take(i64() * 8).buffer)];
    return { ids, numbers: unpacked(take(i64()), ids.length, M, bbs) };
  });
  if (at !== bytes.length) throw new Error(`read ${at} of ${bytes.length} bytes`);
  return { d, M, bbs, codebook, centroids, residual, lists };
}

/** The numbers of n vectors in blocks. Throws where a place behind them is not zero. */
function unpacked(blocks: Uint8Array, n: number, M: number, bbs: number): Uint8Array {
  const M2 = M + (M % 2);
  const numbers = new Uint8Array(n * M);
  for (let i = 0; i < (blocks.length * 2) / M2; i++) {
    const v = i % 16;
    const group = Math.floor(i / bbs) * ((bbs * M2) / 2) + Math.floor((i % bbs) / 32) * 32;
    const byte = group + (v < 8 ? 2 * v : 2 * (v - 8) + 1);
    for (let s = 0; s < M2; s++) {
      const number = (blocks[byte + (s >> 1) * bbs + 16 * (s & 1)] >> (i % 32 < 16 ? 0 : 4)) & 15;
      if (i < n && s < M) numbers[i * M + s] = number;
      else if (number !== 0)
        throw new Error(`vector ${i} of ${n} has the number ${number} for sub-quantizer ${s} of ${M}`);
    }
  }
  return numbers;
}

/** The vector that a code stands for, in the list given. */
export function decoded(file: PackedFile, list: number, i: number): Float32Array {
  const { d, M, codebook, centroids, residual } = file;
  const sub = d / M;
  const { numbers } = file.lists[list];
  return Float32Array.from({ length: d }, (_, j) => {
    const m = Math.floor(j / sub);
    const value = codebook[(m * 16 + numbers[i * M + m]) * sub + (j % sub)];
    return residual ? value + centroids[list * d + j] : value;
  });
}
