import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { Rows } from "../lists/rows.js";
import { moreKernels } from "../wasm/more.js";
import { Random } from "../work/random.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import * as Graph from "../wasm/graph.gen.js";
import { BESIDE } from "../wasm/records.js";
import { drawLevel, levelShares } from "./levels.js";

/** faiss' seeds: of the levels, and of the order in which the vertices of a level are added. */
const LEVEL_SEED = 12345;
const ORDER_SEED = 789;
/** faiss' defaults. */
const EF_CONSTRUCTION = 40;
const EF_SEARCH = 16;
/** Levels and links of a list that a file may have: its own limits are those of 32 bits. */
const MAX_LEVELS = 255;
const MAX_WIDTH = 1 << 20;
const MAX_LINKS = 0x3fffffff;
/** Items of a file looked at between two steps. */
const CHUNK = 8192;
/** Vertices that are added in one call of a kernel: 64 take 6 ms at d = 256. An add of no more can't be aborted half-way. */
const AT_ONCE = 64;

/** What links vertices that are stored. */
export interface Linker {
  /** Dimensions that are decoded to be compared; 0 where rows are floats. */
  decoded: number;
  /** Bytes of scratch of its own for n vertices. */
  scratchBytes(n: number): number;
  /**
   * Writes the records of a block of vertices, all but the graph's, and calls the kernel. All but n are addresses: the graph's record,
   * the levels and the slots, the kernel's scratch, and its own.
   */
  link(graph: number, levels: number, slots: number, n: number, scratch: number, own: number): void;
}

/**
 * The levels and links of an HNSW graph (Malkov and Yashunin, 2016): who is whose neighbour, nothing of the vectors. It is laid out as
 * in a faiss file, see assembly/graph/records.ts.
 */
export class Hierarchy {
  readonly #engine: Engine;
  /** The share of the vertices of each highest level, and where the links of each level begin among those of a vertex. */
  readonly #shares: Float64Array<ArrayBuffer>;
  readonly #widths: Int32Array<ArrayBuffer>;
  /** The highest level of each vertex (u8), where its links begin (u32; one entry more than vertices), and the links (i32). */
  #levels: Rows;
  #offsets: Rows;
  #links: Rows;
  #entry = -1;
  #top = -1;
  efConstruction: number = EF_CONSTRUCTION;
  efSearch: number = EF_SEARCH;
  /** A number that faiss once used. */
  #upperBeam = 1;
  #random = new Random(LEVEL_SEED);
  /** Address of the widths. */
  readonly #starts: number;

  private constructor(engine: Engine, shares: Float64Array<ArrayBuffer>, widths: Int32Array<ArrayBuffer>) {
    this.#engine = engine;
    this.#shares = shares;
    this.#widths = widths;
    this.#levels = new Rows(engine, 1);
    this.#offsets = new Rows(engine, 4);
    this.#links = new Rows(engine, 4);
    this.#starts = engine.allocate(widths.byteLength);
    engine.i32.set(widths, this.#starts >>> 2);
  }

  /** An empty graph. @param M links of a vertex on the upper levels, at least 2; twice as many on level 0 */
  static make(engine: Engine, M: number): Hierarchy {
    const shares = levelShares(M);
    const widths = Int32Array.from({ length: shares.length + 1 }, (_, level) => (level === 0 ? 0 : (level + 1) * M));
    return new Hierarchy(engine, shares, widths);
  }

  /** Vertices. */
  get n(): number {
    return this.#levels.count;
  }

  /** Links of a vertex on the upper levels. */
  get M(): number {
    const widths = this.#widths;
    return widths.length > 2 ? widths[2] - widths[1] : widths[1] >> 1;
  }

  /** Links of the longest list of the levels up to one. */
  #width(top: number): number {
    let most = 0;
    for (let level = 0; level <= top; level++) most = Math.max(most, this.#widths[level + 1] - this.#widths[level]);
    return most;
  }

  /** How many of the nearest a search for k keeps. */
  #kept(k: number, ef: number): number {
    return Math.min(Math.max(k, ef), Math.max(this.n, 1));
  }

  /** Bytes of scratch that a search takes, beside its code's. */
  scratchBytes(nq: number, d: number, k: number, ef: number): number {
    const kernels = moreKernels(this.#engine);
    return kernels.searchGraphScratch(nq, this.n, d, this.#width(this.#top), this.#kept(k, ef));
  }

  /** Writes the record of the graph for a search, and returns its address. @param heads address of the rows' (sieve.ts), or 0 */
  describe(k: number, ef: number, heads: number): number {
    return this.#describe(this.#width(this.#top), ef, this.#kept(k, ef), heads);
  }

  /**
   * Links n new vertices, which were stored last, to those before, in faiss' order: the highest levels first, those of a level at random.
   * All or nothing.
   */
  async add(n: number, linker: Linker, pace: Pace): Promise<void> {
    if (n === 0) return;
    const engine = this.#engine;
    const before = this.n;
    const drawn = this.#random.copy();
    const most = this.#widths.length - 2;
    const levels = Uint8Array.from({ length: n }, () => Math.min(drawLevel(this.#shares, drawn), most));
    const order = inOrder(levels, before);

    const entry = this.#entry;
    const top = this.#top;
    // Lists of others change as well: what they were is kept where an abort may come between.
    const links = before > 0 && n > AT_ONCE ? this.#links.bytes().slice() : undefined;
    const linked = this.#links.count;
    this.#reserve(levels);
    try {
      const width = this.#width(Math.max(top, levels[order[0] - before]));
      const ef = this.#building(before + n);
      const scratch = moreKernels(engine).addVerticesScratch(before + n, width, ef, linker.decoded);
      engine.reserveScratch(
        scratchSize(AT_ONCE * 4) + scratchSize(scratch) + scratchSize(linker.scratchBytes(AT_ONCE)),
      );
      for (let i = 0; i < n; i += AT_ONCE) {
        const count = Math.min(AT_ONCE, n - i);
        this.#link(linker, order.subarray(i, i + count), width, scratch);
        if (n > AT_ONCE) await pace.step("link", i + count, n);
      }
    } catch (error) {
      this.#levels.grow(-n);
      this.#offsets.grow(before === 0 ? -n - 1 : -n);
      this.#links.grow(linked - this.#links.count);
      if (links !== undefined) engine.u8.set(links, this.#links.address);
      this.#entry = entry;
      this.#top = top;
      throw error;
    }
    this.#random = drawn;
  }

  /** Takes empty lists for new vertices of the levels given. */
  #reserve(levels: Uint8Array): void {
    const engine = this.#engine;
    const n = levels.length;
    const first = this.n === 0 ? 1 : 0;
    let links = 0;
    for (const level of levels) links += this.#widths[level + 1];
    this.#levels.reserve(n);
    this.#offsets.reserve(n + first);
    const empty = this.#links.reserve(links);
    if (this.#links.count + links > MAX_LINKS) {
      fail("ERR_MEMORY", `the graph would have ${this.#links.count + links} links, more than 32-bit addresses reach`);
    }
    engine.i32.fill(-1, empty >>> 2, (empty >>> 2) + links);
    engine.u8.set(levels, this.#levels.address + this.n);
    let offset = this.#links.count;
    let at = (this.#offsets.address >>> 2) + this.#offsets.count;
    if (first === 1) engine.u32[at++] = 0;
    for (const level of levels) engine.u32[at++] = offset += this.#widths[level + 1];
    this.#levels.grow(n);
    this.#offsets.grow(n + first);
    this.#links.grow(links);
  }

  #building(n: number): number {
    return Math.min(Math.max(this.efConstruction, 1), n);
  }

  /** Adds vertices that have their empty lists. */
  #link(linker: Linker, order: Int32Array, width: number, scratchBytes: number): void {
    const engine = this.#engine;
    const top = engine.scratchTop;
    const slots = engine.takeScratch(order.length * 4);
    const scratch = engine.takeScratch(scratchBytes);
    const own = engine.takeScratch(linker.scratchBytes(order.length));
    engine.i32.set(order, slots >>> 2);
    const graph = this.#describe(width, this.#building(this.n), 0, 0);
    linker.link(graph, this.#levels.address, slots, order.length, scratch, own);
    this.#entry = engine.i32[(graph >>> 2) + Graph.entry];
    this.#top = engine.i32[(graph >>> 2) + Graph.top];
    engine.returnScratch(top);
  }

  /** Writes the record of the graph as it is now, and returns its address. */
  #describe(width: number, ef: number, room: number, heads: number): number {
    const { i32 } = this.#engine;
    const at = BESIDE >>> 2;
    i32[at + Graph.links] = this.#links.address;
    i32[at + Graph.offsets] = this.#offsets.address;
    i32[at + Graph.widths] = this.#starts;
    i32[at + Graph.n] = this.n;
    i32[at + Graph.entry] = this.#entry;
    i32[at + Graph.top] = this.#top;
    i32[at + Graph.width] = width;
    i32[at + Graph.ef] = ef;
    i32[at + Graph.room] = room;
    i32[at + Graph.heads] = heads;
    return BESIDE;
  }

  write(writer: Writer): void {
    const { n } = this;
    const { u8, u32 } = this.#engine;
    writer.i64(this.#shares.length);
    writer.raw(bytesOf(this.#shares));
    writer.i64(this.#widths.length);
    writer.raw(bytesOf(this.#widths));
    writer.i64(n);
    for (let i = 0; i < n; i++) writer.i32(u8[this.#levels.address + i] + 1);
    writer.i64(n + 1);
    writer.i64(0);
    for (let i = 1; i <= n; i++) writer.i64(u32[(this.#offsets.address >>> 2) + i]);
    writer.i64(this.#links.count);
    writer.raw(this.#links.bytes());
    writer.i32(this.#entry);
    writer.i32(this.#top);
    writer.i32(this.efConstruction);
    writer.i32(this.efSearch);
    writer.i32(this.#upperBeam);
  }

  /** Reads a graph of n vertices, and checks that each step a search might take ends at one of them. */
  static async read(reader: Reader, engine: Engine, n: number): Promise<Hierarchy> {
    const shares = new Float64Array(
      (await reader.bytes("assign_probas", (await reader.vectorCount("assign_probas", 8)) * 8)).buffer,
    );
    const count = await reader.vectorCount("cum_nneighbor_per_level", 4);
    if (count < 2 || count > MAX_LEVELS + 1) {
      reader.wrong("cum_nneighbor_per_level", 8, `has ${count} items, not from 2 to ${MAX_LEVELS + 1}`);
    }
    const widths = new Int32Array((await reader.bytes("cum_nneighbor_per_level", count * 4)).buffer);
    for (let level = 0; level < count; level++) {
      const width = level === 0 ? widths[0] : widths[level] - widths[level - 1];
      if (level === 0 ? width !== 0 : width < 1 || width > MAX_WIDTH) {
        reader.wrong("cum_nneighbor_per_level", (count - level) * 4, `has ${widths[level]} as item ${level}`);
      }
    }
    const graph = new Hierarchy(engine, shares, widths);
    await graph.#readLevels(reader, n);
    await graph.#readOffsets(reader, n);
    const links = n === 0 ? 0 : engine.u32[(graph.#offsets.address >>> 2) + n];
    await reader.vectorCount("neighbors", 4, links);
    if (links > 0) graph.#links = new Rows(engine, 4, await reader.block(engine, "neighbors", links * 4), links);
    graph.#entry = await reader.i32("entry_point");
    graph.#top = await reader.i32("max_level");
    graph.efConstruction = await reader.i32("efConstruction");
    graph.efSearch = await reader.i32("efSearch");
    graph.#upperBeam = await reader.i32("upper_beam");
    graph.#check(reader);
    return graph;
  }

  async #readLevels(reader: Reader, n: number): Promise<void> {
    await reader.vectorCount("levels", 4, n);
    if (n === 0) return;
    const levels = this.#levels.reserve(n);
    for (let i = 0; i < n; i += CHUNK) {
      const some = new Int32Array((await reader.bytes("levels", Math.min(CHUNK, n - i) * 4)).buffer);
      const { u8 } = this.#engine;
      some.forEach((level, j) => {
        if (level < 1 || level >= this.#widths.length) {
          reader.wrong("levels", (some.length - j) * 4, `has ${level} as item ${i + j}`);
        }
        u8[levels + i + j] = level - 1;
      });
    }
    this.#levels.grow(n);
  }

  async #readOffsets(reader: Reader, n: number): Promise<void> {
    await reader.vectorCount("offsets", 8, n + 1);
    const offsets = this.#offsets.reserve(n + 1) >>> 2;
    let next = 0;
    for (let i = 0; i <= n; i += CHUNK) {
      const some = await reader.i64s("offsets", Math.min(CHUNK, n + 1 - i));
      const { u8, u32 } = this.#engine;
      some.forEach((offset, j) => {
        if (i + j > 0) next += this.#widths[u8[this.#levels.address + i + j - 1] + 1];
        if (next > MAX_LINKS || offset !== BigInt(next)) {
          reader.wrong("offsets", (some.length - j) * 8, `has ${offset} as item ${i + j}, which the levels don't give`);
        }
        u32[offsets + i + j] = next;
      });
    }
    if (n > 0) this.#offsets.grow(n + 1);
  }

  /** Checks that links lead to vertices of their level, and that the search can begin. */
  #check(reader: Reader): void {
    const { engine, n } = { engine: this.#engine, n: this.n };
    const [entry, top] = [this.#entry, this.#top];
    if (entry < -1 || entry >= n) reader.wrong("entry_point", 20, `is ${entry}, and there are ${n} vertices`);
    const highest = entry < 0 ? -1 : engine.u8[this.#levels.address + entry];
    if (top !== highest) reader.wrong("max_level", 16, `is ${top}, the level of the entry point ${highest}`);
    const bad = moreKernels(engine).checkLinks(this.#describe(0, 0, 0, 0), this.#levels.address);
    if (bad >= 0) reader.wrong("neighbors", 20 + (this.#links.count - bad) * 4, `has an impossible item ${bad}`);
  }

  /** Forgets the vertices added last, until there are n, and all links to them. */
  truncate(n: number): void {
    const gone = this.n - n;
    if (n === 0) this.clear();
    if (n === 0 || gone <= 0) return;
    const { u8, u32, i32 } = this.#engine;
    const levels = this.#levels.address;
    const offsets = this.#offsets.address >>> 2;
    const links = this.#links.address >>> 2;
    this.#top = -1;
    for (let vertex = 0; vertex < n; vertex++) {
      const highest = u8[levels + vertex];
      if (highest > this.#top) [this.#entry, this.#top] = [vertex, highest];
      for (let level = 0; level <= highest; level++) {
        const start = links + u32[offsets + vertex] + this.#widths[level];
        const list = i32.subarray(start, start + this.#widths[level + 1] - this.#widths[level]);
        const kept = list.filter((link) => link < n);
        list.fill(-1).set(kept);
      }
    }
    this.#links.grow(u32[offsets + n] - this.#links.count);
    this.#offsets.grow(-gone);
    this.#levels.grow(-gone);
  }

  /** Gives the vertex that was number order[i] the number i. */
  renumber(order: Uint32Array): void {
    const { u8, u32, i32 } = this.#engine;
    const levels = this.#levels.bytes().slice();
    const links = i32.slice(this.#links.address >>> 2, (this.#links.address >>> 2) + this.#links.count);
    const starts = u32.slice(this.#offsets.address >>> 2, (this.#offsets.address >>> 2) + this.#offsets.count);
    const number = new Int32Array(order.length);
    order.forEach((old, i) => (number[old] = i));
    let at = 0;
    order.forEach((old, i) => {
      u8[this.#levels.address + i] = levels[old];
      u32[(this.#offsets.address >>> 2) + i] = at;
      for (let j = starts[old]; j < starts[old + 1]; j++)
        i32[(this.#links.address >>> 2) + at++] = links[j] < 0 ? -1 : number[links[j]];
    });
    if (this.#entry >= 0) this.#entry = number[this.#entry];
  }

  /** Removes all vertices. The levels of later ones are drawn on from where they were, as in faiss. */
  clear(): void {
    this.#levels.clear();
    this.#offsets.clear();
    this.#links.clear();
    this.#entry = this.#top = -1;
  }

  /** Is again as it was made. */
  forget(): void {
    this.clear();
    this.#random = new Random(LEVEL_SEED);
  }
}

function bytesOf(array: Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The slots of new vertices, from `first` on: higher levels first, and faiss' random order within one. */
function inOrder(levels: Uint8Array, first: number): Int32Array<ArrayBuffer> {
  const random = new Random(ORDER_SEED);
  const order = new Int32Array(levels.length);
  let at = 0;
  for (let level = levels.reduce((most, one) => Math.max(most, one), 0); level >= 0; level--) {
    const start = at;
    levels.forEach((own, i) => {
      if (own === level) order[at++] = first + i;
    });
    for (let i = start; i < at; i++) {
      const j = i + random.below(at - i);
      [order[i], order[j]] = [order[j], order[i]];
    }
  }
  return order;
}
