import type { Metric } from "../api.js";
import type { Matches } from "../lists/matches.js";
import type { Places } from "../lists/places.js";
import type { Pace } from "../work/pace.js";
import { IndexNode } from "./node.js";
import type { Parameter, SearchParams } from "./node.js";

/** A node around another, which does everything unless a subclass says otherwise. */
export abstract class Wrapper extends IndexNode {
  readonly base: IndexNode;

  constructor(base: IndexNode, d: number = base.d, metric: Metric = base.metric) {
    super(base.engine, d, metric);
    this.base = base;
  }

  get ntotal(): number {
    return this.base.ntotal;
  }

  get isTrained(): boolean {
    return this.base.isTrained;
  }

  override get stored(): number {
    return this.base.stored;
  }

  get rows(): number {
    return this.base.rows;
  }

  // What the wrapper does to labels or to vectors, it says itself.
  readonly rowsByLabel: number = 0;

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    await this.base.train(vectors, seed, pace);
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace, first?: () => void): Promise<void> {
    await this.base.add(vectors, ids, pace, first);
  }

  override async replace(vectors: Float32Array, ids: BigInt64Array, pace: Pace): Promise<void> {
    await this.base.replace(vectors, ids, pace);
  }

  override prepare(): void {
    this.base.prepare();
  }

  override expect(queries: number): void {
    this.base.expect(queries);
  }

  override unprepare(): void {
    this.base.unprepare();
  }

  override sharpen(): void {
    this.base.sharpen();
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    return this.base.scratchBytes(nq, k, params);
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    this.base.search(queries, nq, k, params, distances, slots);
  }

  range(queries: number, nq: number, params: SearchParams, matches: Matches): void {
    this.base.range(queries, nq, params, matches);
  }

  override get slots(): number {
    return this.base.slots;
  }

  override slotRuns(each: (start: number, length: number) => void): void {
    this.base.slotRuns(each);
  }

  override scannedLabels(slots: number, n: number, out: number): void {
    this.base.scannedLabels(slots, n, out);
  }

  override mapSlots(slots: number, n: number): void {
    this.base.mapSlots(slots, n);
  }

  override mapSlotsWide(slots: number, n: number, out: number): void {
    this.base.mapSlotsWide(slots, n, out);
  }

  override labelRuns(each: (labels: number, n: number, slot: number) => void): void {
    this.base.labelRuns(each);
  }

  slotOf(label: number | bigint): number {
    return this.base.slotOf(label);
  }

  override decodeScratch(n: number): number {
    return this.base.decodeScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    this.base.decode(slots, n, out);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    return this.base.removeIds(drop);
  }

  override relabel(label: (old: bigint) => bigint): void {
    this.base.relabel(label);
  }

  override removal(places: Places): () => void {
    return this.base.removal(places);
  }

  override truncate(n: number): void {
    this.base.truncate(n);
  }

  reset(): void {
    this.base.reset();
  }

  override compact(): void {
    this.base.compact();
  }

  override untrain(): void {
    this.base.untrain();
  }

  override parameter(name: string): Parameter | undefined {
    return this.base.parameter(name);
  }
}
