import { fail } from "../errors.js";
import { knownKinds } from "../faiss/more-kinds.js";
import { outputDimension } from "../indexes/tree.js";
import type { IndexTree, ScalarType, TransformTree } from "../indexes/tree.js";

/** Trees and parentheses nest no deeper; faiss 1.15 refuses files beyond the same number. */
const MAX_LEVELS = 50;
const MAX_COUNT = 2 ** 31 - 1;
/** Links of a vertex of an HNSW; twice as many are the most that a file may have. */
const MAX_LINKS = 2 ** 19;
/** ProductQuantizer's limit in faiss. */
const MAX_PQ_BITS = 24;
/** Vectors that a FastScan kernel handles at once: the default of `bbs`, which is a multiple of it. */
const FASTSCAN_GROUP = 32;

const CODES = "Flat, PQ16, PQ32x4fs, SQ8, SQfp16 or RaBitQ (case matters)";
const STORAGES = "nothing, Flat, PQ16, SQ8 or SQfp16 (case matters)";
const INDEXES = "Flat, PQ16, PQ32x4fs, SQ8, HNSW32, IVF1024,Flat or PCA64,IVF1024,Flat (case matters)";

/** What is wrong with texts that nothing parses, first match wins. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [/\s/, "a description has no blanks; leave them out"],
  [/^(?:Centre|Remap)/, "that is how a transform read from a file is described, which can't be made from a string"],
  [
    /^LTra/,
    "LTra is a plain linear transform read from a file, which cannot be trained from a string; " +
      "name the transform it came from, such as OPQ16_64, PCA64 or RR64",
  ],
  [
    /^(?:B[FHI]|Flat[DIPL]|IMI|ITQ|IVF[^,]*_NSG|LS|MinMax|NSG|PLSQ|P?RQ|RCQ|Residual|SQtq|SQ0|SVS|Zn|[0-9]+(?:x[0-9]+)?\+PQ)/,
    `faiss has this one, cellist does not; it has ${knownKinds()}`,
  ],
  [/^(?:PCA|OPQ|RR|HR|L2[nN]orm|Pad)[^,]*$/, "a transform stands before an index, as in PCA64,Flat"],
  [/^IVF[^,]*$/, "an IVF needs a code after a comma, as in IVF1024,Flat"],
  [
    /^PQ[0-9]+(?:x[0-9]+)?\+[0-9]+(?:x[0-9]+)?$/,
    "only an IVF has a PQ that a second one refines, as in IVF1024,PQ16+8",
  ],
  [/^PQ[0-9]+x4fsr(?:_[0-9]+)?$/, "only an IVF has residuals to encode; leave out the r"],
  [/^PQ[0-9]+x(?!4fs)[0-9]*fs/, "FastScan codes have 4 bits, as in PQ16x4fs or PQ16x4fs_64"],
];

/**
 * Parses a description in faiss' grammar, whole and case sensitive.
 *
 * One thing is added to it: `(X)` is X, so that trees that faiss only builds by hand have a description too,
 * such as `PCA64,(Flat,RFlat)`, re-ranked after the transform.
 *
 * @param d dimensions of the vectors that the index will take
 * @param description such as `IVF1024,PQ32x4fs,RFlat`
 * @throws {CellistError} ERR_FACTORY if it does not parse or does not suit d
 */
export function parseFactory(d: number, description: string): IndexTree {
  if (typeof description !== "string")
    return fail("ERR_FACTORY", `expected a description such as "IVF1024,Flat", not ${typeof description}`);
  if (!Number.isInteger(d) || d < 1 || d > MAX_COUNT)
    return fail(
      "ERR_FACTORY",
      `d should be an integer from 1 to ${MAX_COUNT}, not ${typeof d === "number" ? d : typeof d}`,
    );
  checkParentheses(description);
  return new Parser(description).index(description, d, 1);
}

/** The methods are given parts of `whole`, always with balanced parentheses. */
class Parser {
  readonly whole: string;

  constructor(whole: string) {
    this.whole = whole;
  }

  index(text: string, d: number, level: number): IndexTree {
    if (level > MAX_LEVELS) tooDeep(this.whole);

    for (const name of ["IDMap2", "IDMap"]) {
      const base = text.endsWith(`,${name}`)
        ? text.slice(0, -name.length - 1)
        : text.startsWith(`${name},`) && text.slice(name.length + 1);
      if (base !== false) return { kind: "idmap", two: name === "IDMap2", base: this.index(base, d, level + 1) };
    }

    // Before the transforms: the second stage sees the vectors as they were given.
    if (text.endsWith(",RFlat"))
      return { kind: "refine", base: this.index(text.slice(0, -6), d, level + 1), refine: { kind: "flat" } };
    if (text.endsWith(")")) {
      const open = partner(text, text.length - 1);
      if (open === 0) return this.index(text.slice(1, -1), d, level);
      const before = text.slice(0, open);
      if (before.endsWith(",Refine")) {
        const base = this.index(before.slice(0, -7), d, level + 1);
        return { kind: "refine", base, refine: this.index(text.slice(open + 1, -1), d, level + 1) };
      }
    }

    const transforms: TransformTree[] = [];
    let rest = text;
    for (;;) {
      const comma = rest.indexOf(",");
      const transform = comma < 0 ? undefined : this.transform(rest.slice(0, comma), d);
      if (!transform) break;
      transforms.push(transform);
      d = outputDimension(transform, d);
      rest = rest.slice(comma + 1);
    }
    if (transforms.length > 0) return { kind: "transform", transforms, base: this.index(rest, d, level + 1) };

    return this.code(text, d, false) ?? this.hnsw(text, d) ?? this.ivf(text, d, level) ?? this.unknown(text, INDEXES);
  }

  hnsw(text: string, d: number): IndexTree | undefined {
    const match = /^HNSW([0-9]*)(?:[,_]([^]*))?$/.exec(text);
    if (!match) return undefined;
    const m = this.links(text, match[1]);
    const code = match[2] ?? "";
    const storage = this.code(code || "Flat", d, false);
    if (storage?.kind !== "flat" && storage?.kind !== "pq" && storage?.kind !== "sq")
      return this.unknown(code, STORAGES);
    return { kind: "hnsw", m, storage };
  }

  ivf(text: string, d: number, level: number): IndexTree | undefined {
    const match = /^IVF([0-9]+)([kM]?)(?:_HNSW([0-9]*))?(?=[,(])/.exec(text);
    if (!match) return undefined;
    const [{ length }, digits, suffix, graph] = match;
    const unit = suffix === "k" ? 1024 : suffix === "M" ? 1024 ** 2 : 1;
    const what = suffix ? `the number before ${suffix}` : "the number of lists";
    const nlist = this.count(text, what, digits, 1, MAX_COUNT / unit) * unit;

    let coarse: IndexTree = { kind: "flat" };
    let comma = length;
    if (graph !== undefined) {
      coarse = { kind: "hnsw", m: this.links(text, graph), storage: coarse };
    } else if (text[length] === "(") {
      comma = partner(text, length) + 1;
      coarse = this.index(text.slice(length + 1, comma - 1), d, level + 1);
    }
    if (text[comma] !== ",") return undefined;
    const code = text.slice(comma + 1);
    return { kind: "ivf", nlist, coarse, code: this.code(code, d, true) ?? this.unknown(code, CODES) };
  }

  /** The basic indexes, which are the codes of composite ones as well. */
  code(text: string, d: number, residuals: boolean): IndexTree | undefined {
    if (text === "Flat") return { kind: "flat" };

    let match = /^SQ([468]|fp16|bf16|8_direct|8_direct_signed|[48]_uniform)$/.exec(text);
    if (match) return { kind: "sq", type: match[1] as ScalarType };

    match = /^PQ([0-9]+)(?:x([0-9]+))?(np)?$/.exec(text);
    if (match)
      return {
        kind: "pq",
        m: this.divisor(text, match[1], d, "d"),
        bits: this.count(text, "the bits of a PQ code", match[2], 8, MAX_PQ_BITS),
        polysemous: !match[3],
      };

    match = /^PQ([0-9]+)(?:x([0-9]+))?\+([0-9]+)(?:x([0-9]+))?$/.exec(text);
    if (match && residuals)
      return {
        kind: "pqr",
        m: this.divisor(text, match[1], d, "d"),
        bits: this.count(text, "the bits of a PQ code", match[2], 8, MAX_PQ_BITS),
        finer: {
          m: this.divisor(text, match[3], d, "d"),
          bits: this.count(text, "the bits of a PQ code", match[4], 8, MAX_PQ_BITS),
        },
      };

    match = /^PQ([0-9]+)x4fs(r?)(?:_([0-9]+))?$/.exec(text);
    if (match && (residuals || !match[2]))
      return {
        kind: "pqfs",
        m: this.divisor(text, match[1], d, "d"),
        residual: match[2] === "r",
        bbs: this.blockSize(text, match[3]),
      };

    match = /^RaBitQ([1-9]?)$/.exec(text);
    if (match) return { kind: "rabitq", bits: Number(match[1] || 1) };

    match = /^EDEN([1-8]?)(BIASED|BIAS)?$/.exec(text);
    if (match) return { kind: "eden", bits: Number(match[1] || 1), biased: match[2] !== undefined };

    match = /^RaBitQfs([1-9]?)(?:_([0-9]+))?$/.exec(text);
    if (match) return { kind: "rabitqfs", bits: Number(match[1] || 1), bbs: this.blockSize(text, match[2]) };
    return undefined;
  }

  transform(text: string, d: number): TransformTree | undefined {
    const other = (dout: number): { dout?: number } => (dout === d ? {} : { dout });

    let match = /^PCA(W?)(R?)([0-9]+)$/.exec(text);
    if (match) {
      const dout = this.count(text, "dimensions", match[3], d);
      if (dout > d) this.unfit(text, d, `PCA keeps at most d dimensions; take ${d} or fewer`);
      return { type: "PCA", dout, whiten: match[1] !== "", rotate: match[2] !== "" };
    }

    match = /^OPQ([0-9]+)(?:_([0-9]+))?$/.exec(text);
    if (match) {
      const dout = this.count(text, "dimensions", match[2], d);
      return { type: "OPQ", m: this.divisor(text, match[1], dout, "dout"), ...other(dout) };
    }

    match = /^RR([0-9]*)$/.exec(text);
    if (match) return { type: "RR", ...other(this.count(text, "dimensions", match[1], d)) };

    match = /^HR([0-9]*)$/.exec(text);
    if (match) {
      let dout = 1;
      while (dout < d) dout *= 2;
      return { type: "HR", dout, seed: match[1] ? this.count(text, "the seed", match[1], 0, 2 ** 32 - 1) : 12345 };
    }

    match = /^Pad([0-9]+)$/.exec(text);
    if (match) return { type: "Pad", dout: Math.max(d, this.count(text, "dimensions", match[1], d)) };

    return /^L2[nN]orm$/.test(text) ? { type: "L2norm" } : undefined;
  }

  count(part: string, what: string, digits: string | undefined, missing: number, max = MAX_COUNT): number {
    const n = digits ? Number(digits) : missing;
    if (n >= 1 && n <= max) return n;
    return fail(
      "ERR_FACTORY",
      `${this.quote(part)}: ${what} should be from 1 to ${Math.floor(max)}, not ${shorten(String(digits))}`,
    );
  }

  /** Links of a vertex: of one no graph can be made. */
  links(part: string, digits: string | undefined): number {
    const m = this.count(part, "M of HNSW", digits, 32, MAX_LINKS);
    return m > 1 ? m : fail("ERR_FACTORY", `${this.quote(part)}: M of HNSW should be from 2 to ${MAX_LINKS}, not 1`);
  }

  /** An M that cuts d (or a transform's dout) into equal parts. */
  divisor(part: string, digits: string | undefined, d: number, name: string): number {
    const m = this.count(part, "M", digits, 1);
    if (d % m === 0) return m;
    let near = 1;
    for (let i = 1; i * i <= d; i++) if (d % i === 0) for (const x of [i, d / i]) if (x < m && x > near) near = x;
    return this.unfit(part, d, `${name} should be a multiple of M = ${m}; the next smaller M is ${near}`);
  }

  blockSize(part: string, digits: string | undefined): number {
    const bbs = this.count(part, "the block size", digits, FASTSCAN_GROUP);
    if (bbs % FASTSCAN_GROUP === 0) return bbs;
    return fail("ERR_FACTORY", `${this.quote(part)}: the block size ${bbs} should be a multiple of 32; try 32 or 64`);
  }

  unfit(part: string, d: number, why: string): never {
    return fail("ERR_FACTORY", `${this.quote(part)} does not suit d = ${d}: ${why}`);
  }

  unknown(part: string, expected: string): never {
    const why = HINTS.find(([pattern]) => pattern.test(part))?.[1] ?? `expected ${expected}`;
    return fail("ERR_FACTORY", `could not parse ${this.quote(part)}: ${why}`);
  }

  quote(part: string): string {
    return part === this.whole ? quote(part) : `${quote(part)} in ${quote(this.whole)}`;
  }
}

function checkParentheses(text: string): void {
  const open: number[] = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(" && open.push(i) > MAX_LEVELS) tooDeep(text);
    if (text[i] === ")" && open.pop() === undefined) unbalanced(text, `")" at position ${i} closes nothing`);
  }
  if (open.length > 0) unbalanced(text, `"(" at position ${open.at(-1)} is never closed`);
}

/** Where the parenthesis at a position of a balanced text has its other half. */
function partner(text: string, at: number): number {
  const step = text[at] === "(" ? 1 : -1;
  for (let i = at, depth = 0; ; i += step) {
    if (text[i] === "(") depth += step;
    if (text[i] === ")") depth -= step;
    if (depth === 0) return i;
  }
}

function unbalanced(text: string, which: string): never {
  return fail("ERR_FACTORY", `unbalanced parentheses in ${quote(text)}: the ${which}`);
}

function tooDeep(text: string): never {
  return fail("ERR_FACTORY", `${quote(text)} nests indexes deeper than ${MAX_LEVELS} levels; take some out`);
}

function quote(text: string): string {
  return JSON.stringify(shorten(text));
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
