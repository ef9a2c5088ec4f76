import { dump } from "npyjs";

/** The bytes of an `.npy` file, of numbers that stay where they are. */
export function* npyChunks(
  data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>,
  shape: readonly number[],
): Generator<Uint8Array> {
  // What npyjs makes of no numbers is the header.
  yield new Uint8Array(dump(data.subarray(0, 0), [...shape]));
  yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
