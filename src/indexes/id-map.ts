import type { IndexTree } from "./tree.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { IdLookup } from "../lists/id-lookup.js";
import { Places } from "../lists/places.js";
import { Rows } from "../lists/rows.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { otherMetric, readHeader, writeHeader } from "./header.js";
import { hasPlacesForLabels } from "./node.js";
import type { IndexNode, Merging, NodeReader } from "./node.js";
import { Wrapper } from "./wrapper.js";

/**
 * Ids of the user's own around an index that numbers its vectors. IDMap2 is the same to us: in faiss it differs by keeping the map
 * from ids to vectors, which both make here when it is first asked for.
 */
export class IdMapNode extends Wrapper {
  /** Labels are the user's. */
  override readonly isInSequence = false;
  readonly #two: boolean;
  /** The id of each label of the base, i64. */
  readonly #map: Rows;
  #lookup: IdLookup | undefined;

  constructor(base: IndexNode, two: boolean, map: Rows = new Rows(base.engine, 8)) {
    super(base);
    this.#two = two;
    this.#map = map;
  }

  get tree(): IndexTree {
    return { kind: "idmap", two: this.#two, base: this.base.tree };
  }

  override async add(
    vectors: Float32Array,
    ids: BigInt64Array | undefined,
    pace: Pace,
    first?: () => void,
  ): Promise<void> {
    if (ids === undefined) fail("ERR_ID", "an IDMap has no ids of its own: give some with addWithIds");
    const n = ids.length;
    const own = ids.slice();
    this.#map.reserve(n);
    await this.base.add(vectors, undefined, pace, first);
    // Where others went first, the map ends where it did not before.
    this.engine.i64.set(own, this.#map.reserve(n) >>> 3);
    this.#map.grow(n);
    this.#lookup = undefined;
  }

  override async replace(vectors: Float32Array, ids: BigInt64Array, pace: Pace): Promise<void> {
    const given = new Set(ids);
    const places = new Places(this.#map.count, (place) => given.has(this.#id(place)) && this.base.slotOf(place) >= 0);
    await this.add(vectors, ids, pace, places.removed > 0 ? this.#removal(places) : undefined);
  }

  override async merging(other: IndexNode, addId: bigint, pace: Pace): Promise<Merging> {
    if (!(other instanceof IdMapNode)) throw new Error("indexes of one description are of one kind");
    const from = other;
    const n = from.#map.count;
    const base = await this.base.merging(from.base, BigInt(this.base.ntotal), pace);
    try {
      const at = this.#map.reserve(n) >>> 3;
      for (let i = 0; i < n; i++) this.engine.i64[at + i] = from.#id(i) + addId;
    } catch (error) {
      base.cancel();
      throw error;
    }
    return {
      commit: () => {
        base.commit();
        this.#map.grow(n);
        this.#lookup = undefined;
      },
      cancel: () => base.cancel(),
    };
  }

  override mapSlots(slots: number, n: number): void {
    this.base.mapSlots(slots, n);
    this.engine.kernels.mapSlots(slots, n, this.#map.address);
  }

  override mapSlotsWide(slots: number, n: number, out: number): void {
    this.base.mapSlots(slots, n);
    this.engine.kernels.mapSlotsWide(slots, n, this.#map.address, out);
  }

  override scannedLabels(slots: number, n: number, out: number): void {
    this.base.scannedLabels(slots, n, out);
    const { i64 } = this.engine;
    for (let i = 0; i < n; i++) i64[(out >>> 3) + i] = i64[(this.#map.address >>> 3) + Number(i64[(out >>> 3) + i])];
  }

  override labelRuns(each: (labels: number, n: number, slot: number) => void): void {
    each(this.#map.address, this.#map.count, 0);
  }

  override slotOf(label: number | bigint): number {
    this.#lookup ??= new IdLookup(this.#map.count, (each) => this.eachLabel(each));
    const position = this.#lookup.find(label);
    return position < 0 ? -1 : this.base.slotOf(position);
  }

  override removeIds(drop: (label: bigint) => boolean): number {
    const places = new Places(this.#map.count, (place) => drop(this.#id(place)) && this.base.slotOf(place) >= 0);
    if (places.removed > 0) this.#removal(places)();
    return places.removed;
  }

  override removal(places: Places): () => void {
    const inner = new Places(this.#map.count, (place) => places.isGone(this.#id(place)));
    const remove = this.#removal(inner);
    return () => {
      remove();
      const { i64 } = this.engine;
      this.eachLabel((id, place) => (i64[(this.#map.address >>> 3) + place] = BigInt(places.next(id))));
    };
  }

  /** Removes places of the map and what they stand for. */
  #removal(places: Places): () => void {
    const remove = this.base.removal(places);
    return () => {
      remove();
      this.#map.filter((place) => !places.isGone(place));
      this.#lookup = undefined;
    };
  }

  #id(place: number): bigint {
    return this.engine.i64[(this.#map.address >>> 3) + place];
  }

  override reset(): void {
    this.base.reset();
    this.#map.clear();
    this.#lookup = undefined;
  }

  override compact(): void {
    super.compact();
    this.#map.compact();
    this.#lookup = undefined;
  }

  override untrain(): void {
    this.reset();
    this.base.untrain();
  }

  write(writer: Writer): void {
    writeHeader(writer, this.#two ? "IxM2" : "IxMp", this);
    this.base.write(writer);
    writer.i64(this.#map.count);
    writer.raw(this.#map.bytes());
  }

  /** Reads what follows the fourcc IxMp or IxM2. */
  static async read(reader: Reader, engine: Engine, two: boolean, readNode: NodeReader): Promise<IdMapNode> {
    const { d, ntotal, metric } = await readHeader(reader);
    const base = await readNode(reader, engine);
    if (base.d !== d) reader.wrong("index under the IDMap", 0, `has d = ${base.d}, the IDMap ${d}`);
    if (base.metric !== metric) otherMetric("the index under the IDMap", base.metric, "the IDMap", metric);
    if (base.ntotal !== ntotal)
      reader.wrong("index under the IDMap", 0, `has ${base.ntotal} vectors, the IDMap ${ntotal}`);
    await reader.vectorCount("id_map", 8, ntotal);
    const map = ntotal === 0 ? 0 : await reader.block(engine, "id_map", ntotal * 8);
    const node = new IdMapNode(base, two, new Rows(engine, 8, map, ntotal));
    const lazy = reader.deferral?.lists === true;
    if (lazy) reader.deferral.labels = ntotal;
    reader.check(() => {
      if (hasPlacesForLabels(base, ntotal)) return;
      if (!lazy) placeByRank(base, ntotal, engine);
      // Another IDMap keeps the ids that it has.
      if (lazy || !hasPlacesForLabels(base, ntotal))
        reader.wrong("index under the IDMap", 0, `has labels that are not from 0 to ${ntotal - 1}, each once`);
    });
    return node;
  }
}

/**
 * Gives the vectors under an IDMap their places, where they have other labels: an IVF keeps the labels of what is left when faiss
 * removes vectors, while the IDMap closes the gaps in its ids. Then the k-th smallest label belongs to id_map[k]. Throws
 * ERR_UNSUPPORTED where labels say no more than that.
 */
function placeByRank(base: IndexNode, ntotal: number, engine: Engine): void {
  const labels: bigint[] = [];
  base.eachLabel((label) => labels.push(label));
  labels.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const ranks = new Map(labels.map((label, rank) => [label, BigInt(rank)]));
  if (ranks.size !== ntotal || labels[0] < 0n) {
    const why =
      labels[0] < 0n
        ? `one has the label ${labels[0]}`
        : ranks.size < labels.length
          ? "some of its vectors have one label, as when faiss merged two IDMaps over an IVF"
          : `it numbers ${labels.length} vectors`;
    fail(
      "ERR_UNSUPPORTED",
      `the IDMap has ${ntotal} ids and can't be told which vector of the IVF under it each belongs to: ${why}. Build it anew, or merge ` +
        `the IVFs without an IDMap`,
    );
  }
  base.relabel((label) => ranks.get(label) ?? label);
  engine.warn(
    "WARN_IDS",
    `faiss removed vectors from this "IDMap,IVF…" and left ids and vectors apart (it finds wrong ids in it): they are put right by ` +
      `their order. Save it to keep that`,
  );
}
