/** The bytes of an array's items, as they are. */
export function bytesOf(items: Float32Array | Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(items.buffer, items.byteOffset, items.byteLength);
}
