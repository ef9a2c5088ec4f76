import type { Engine } from "../wasm/engine.js";
import { placeCoded } from "./numbers.js";
import type { Coded } from "./numbers.js";
import type { CodecKernels } from "./kernels.js";
import { fitTables } from "./models.js";
import type { Model } from "./models.js";

/** A table of whole numbers that has a stream of its own: the basis, the centroids. */
export interface Table {
  /** Rows of `width`. */
  numbers: Int16Array;
  width: number;
  models: Model[];
  /** The model of each column. */
  columns: Uint16Array;
  /** What is added to it in each row. */
  classes?: Int32Array;
}

/** Fits its models to it. */
export function fitTable(engine: Engine, kernels: CodecKernels, table: Table): void {
  const { models, width } = table;
  withTable(engine, table, (at, rows, coded, classes) => {
    const cells = models.length * kernels.CONTEXTS.value * kernels.SYMBOLS.value;
    const counts = engine.allocate(cells * 4);
    engine.u32.fill(0, counts >>> 2, (counts >>> 2) + cells);
    kernels.countRows(rows, width, width, coded.models, coded.count, coded.columns, classes, at, 0, 0, at, 0, counts);
    takeCounts(engine, kernels, models, counts);
    engine.release(counts);
  });
}

/** Its stream. */
export function writeTable(engine: Engine, kernels: CodecKernels, table: Table): Uint8Array {
  const { numbers, width } = table;
  return withTable(engine, table, (at, rows, coded, classes) => {
    const room = numbers.length * 8 + 64;
    const out = engine.allocate(room);
    const start = kernels.writeRows(
      out + room,
      rows,
      width,
      width,
      coded.models,
      coded.count,
      coded.columns,
      classes,
      at,
      0,
      0,
      at,
      0,
    );
    const bytes = engine.u8.slice(start, out + room);
    engine.release(out);
    return bytes;
  });
}

/** Fits models to what was counted of them, at an address. */
export function takeCounts(engine: Engine, kernels: CodecKernels, models: Model[], counts: number): void {
  const per = kernels.CONTEXTS.value * kernels.SYMBOLS.value;
  models.forEach((model, i) => {
    const first = (counts >>> 2) + i * per;
    fitTables(model, engine.u32.subarray(first, first + per));
  });
}

/** Has the table in memory meanwhile. */
function withTable<T>(
  engine: Engine,
  { numbers, width, models, columns, classes }: Table,
  use: (at: number, rows: number, coded: Coded, classes: number) => T,
): T {
  const blocks: number[] = [];
  try {
    const coded = placeCoded(engine, models, columns, blocks);
    const at = engine.allocate(numbers.byteLength);
    blocks.push(at);
    engine.u8.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), at);
    let added = 0;
    if (classes !== undefined) {
      added = engine.allocate(classes.length * 4);
      blocks.push(added);
      engine.i32.set(classes, added >>> 2);
    }
    return use(at, numbers.length / width, coded, added);
  } finally {
    for (const address of blocks) engine.release(address);
  }
}
