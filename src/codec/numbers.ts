import type { Engine } from "../wasm/engine.js";
import { wrong } from "./bytes.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";
import { placeModels } from "./models.js";
import type { Model } from "./models.js";

// Tables of numbers as the coder's functions take them, and the reading of those that have a stream of their own.

/** A table of numbers and their models, as the coder's functions take it. */
export interface Coded {
  /** Addresses: of the models, and of a u16 for each column that says which is its. */
  models: number;
  columns: number;
  /** How many models there are, the one for scales among them. */
  count: number;
}

/** Models and columns in the engine's memory; their addresses are added to `blocks`, to be released. */
export function placeCoded(engine: Engine, models: readonly Model[], columns: Uint16Array, blocks: number[]): Coded {
  const kernels = kernelsOf(engine);
  const address = engine.allocate(models.length * kernels.MODEL_BYTES.value);
  blocks.push(address);
  const places = engine.allocate(columns.length * 2 + 2);
  blocks.push(places);
  placeModels(engine, kernels, models, address);
  engine.u8.set(new Uint8Array(columns.buffer, columns.byteOffset, columns.byteLength), places);
  return { models: address, columns: places, count: models.length };
}

/**
 * Reads a table of rows x width numbers that has a stream of its own. ERR_FORMAT for one that is damaged.
 *
 * @param classes what is added to the models' numbers in each row, or undefined: then all rows have the same models
 */
export function readNumbers(
  engine: Engine,
  kernels: CodecKernels,
  bytes: Uint8Array,
  rows: number,
  width: number,
  { models, columns, count }: Coded,
  classes: Int32Array | undefined,
  what: string,
): Int16Array {
  const size = rows * width * 2;
  const stream = engine.allocate(bytes.length);
  let numbers = 0;
  let table = 0;
  try {
    numbers = engine.allocate(size);
    engine.u8.set(bytes, stream);
    if (classes !== undefined) {
      table = engine.allocate(rows * 4);
      engine.i32.set(classes, table >>> 2);
    }
    const end = stream + bytes.length;
    const bad = kernels.readRows(
      stream,
      end,
      rows,
      width,
      width,
      models,
      count,
      columns,
      table,
      numbers,
      0,
      0,
      numbers,
      0,
    );
    if (bad !== 0) wrong(what, "can't be read");
    return new Int16Array(engine.u8.slice(numbers, numbers + size).buffer);
  } finally {
    for (const address of [stream, numbers, table]) engine.release(address);
  }
}
