import { fail } from "../errors.js";

/** Features of one slice of a recording. */
export interface Slice {
  /** The name of its file, by which slices are put in order. */
  name: string;
  /** The bytes of an `.npy` file (float16, float32 or float64, n x d), or n x d floats. */
  data: Uint8Array | ArrayBuffer | Float32Array;
}

/**
 * The rows of a slice. npyjs is loaded when bytes are first parsed: it needs a TextDecoder, which a worklet has not.
 *
 * @returns n x d floats; rejects with ERR_FORMAT for bytes that are no .npy of floats, ERR_DIMENSION for another d
 */
export async function sliceRows({ name, data }: Slice, d: number): Promise<Float32Array> {
  if (data instanceof Float32Array) {
    if (data.length % d !== 0) fail("ERR_DIMENSION", `${name} has ${data.length} numbers, no multiple of d = ${d}`);
    return data;
  }
  const { shape, rows } = await parseNpy(name, data);
  if (shape.length !== 2 || shape[1] !== d) {
    fail(
      "ERR_DIMENSION",
      `${name} has the shape [${shape.join(", ")}], not [n, ${d}]: is it of the other RVC version?`,
    );
  }
  return rows;
}

/** The floats and the shape of an `.npy` file. ERR_FORMAT, with the name, for anything else. */
export async function parseNpy(
  name: string,
  data: Uint8Array | ArrayBuffer,
): Promise<{ shape: number[]; rows: Float32Array }> {
  const { parse } = await import("npyjs");
  // npyjs takes an ArrayBuffer that is the file and nothing else.
  const file = data instanceof ArrayBuffer ? data : data.slice().buffer;
  let array;
  try {
    array = parse(file);
  } catch (error) {
    return fail("ERR_FORMAT", `${name} is no .npy file: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { data: values, shape, dtype, fortranOrder } = array;
  if (fortranOrder) fail("ERR_FORMAT", `${name} is in Fortran order: save numpy.ascontiguousarray of it`);
  if (!(values instanceof Float32Array || values instanceof Float64Array)) {
    return fail("ERR_FORMAT", `${name} holds ${dtype}, not floats: save it as float32`);
  }
  const rows = values instanceof Float32Array ? values : Float32Array.from(values);
  if (rows.length !== shape.reduce((product, size) => product * size, 1)) {
    fail("ERR_FORMAT", `${name} has ${rows.length} numbers for the shape [${shape.join(", ")}]: it is cut off`);
  }
  return { shape, rows };
}
