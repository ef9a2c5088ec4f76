import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Engine } from "../wasm/engine.js";
import { LinearTransform } from "./linear.js";
import { Pca } from "./pca.js";
import type { PcaFields } from "./pca.js";
import { RandomRotation } from "./rotation.js";
import { Centering, HadamardRotation, Normalization, powerOf2, Remapping } from "./simple.js";
import type { Transform } from "./transform.js";

/** faiss 1.15 reads no larger dimensions. */
const MAX_D = 1 << 20;

/** What stands at the end of every transform. */
interface Tail {
  din: number;
  dout: number;
  isTrained: boolean;
}

/** Reads a transform, from its fourcc on. */
export async function readTransform(reader: Reader, engine: Engine): Promise<Transform> {
  const fourcc = await reader.fourcc("fourcc of the transform");
  switch (fourcc) {
    case "LTra":
    case "rrot": {
      const { matrix, bias, tail } = await readMatrix(reader);
      const Kind = fourcc === "LTra" ? LinearTransform : RandomRotation;
      return filled(new Kind(engine, tail.din, tail.dout), matrix, bias, tail);
    }
    case "Pcam":
    case "PcAm":
    case "PCAm": {
      const fields = await readPca(reader, fourcc);
      const { matrix, bias, tail } = await readMatrix(reader);
      const { din, dout, isTrained } = tail;
      const { mean, eigenvalues, components } = fields;
      if (isTrained && (mean.length !== din || components.length % din !== 0)) {
        reader.wrong(
          "PCA",
          0,
          `has a mean of ${mean.length} and components of ${components.length} numbers, d being ${din}`,
        );
      }
      if (!isTrained && mean.length + eigenvalues.length + components.length > 0) {
        reader.wrong("PCA", 0, "is untrained, and has a mean or components");
      }
      return filled(new Pca(engine, din, dout, fields), matrix, bias, tail);
    }
    case "VNrm": {
      const norm = await reader.f32("norm");
      if (norm !== 2)
        fail("ERR_UNSUPPORTED", `the file scales vectors to the norm of number ${norm}: only 2 is known, as in faiss`);
      const tail = await readTail(reader);
      expectTrained(reader, tail, tail.din);
      return new Normalization(engine, tail.din);
    }
    case "VCnt": {
      const mean = await readFloats(reader, "mean");
      const { din, dout, isTrained } = await readTail(reader);
      if (dout !== din) reader.wrong("d_out", 5, `is ${dout}, d_in ${din}`);
      if (mean.length !== (isTrained ? din : 0))
        reader.wrong("mean", 17 + mean.byteLength, `has ${mean.length} numbers, d being ${din}`);
      return new Centering(engine, din, mean);
    }
    case "RmDT": {
      const count = await reader.vectorCount("map", 4);
      const map = new Int32Array((await reader.bytes("map", count * 4)).buffer);
      const tail = await readTail(reader);
      expectTrained(reader, tail, map.length);
      const bad = map.findIndex((from) => from < -1 || from >= tail.din);
      if (bad >= 0)
        reader.wrong("map", 9 + (map.length - bad) * 4, `has ${map[bad]} as item ${bad}, d being ${tail.din}`);
      return new Remapping(engine, tail.din, tail.dout, map);
    }
    case "HRot": {
      const seed = await reader.i32("seed");
      const tail = await readTail(reader);
      expectTrained(reader, tail, powerOf2(tail.din));
      return new HadamardRotation(engine, tail.din, seed >>> 0);
    }
    case "Viqm":
    case "Viqt":
      return fail(
        "ERR_UNSUPPORTED",
        `the file turns vectors by an ITQ ("${fourcc}"), which serves binary codes: it is not known here`,
      );
  }
  return reader.wrong("fourcc of the transform", 4, `is ${JSON.stringify(fourcc)}, which is none`);
}

async function readPca(reader: Reader, fourcc: string): Promise<PcaFields> {
  const power = await reader.f32("eigen_power");
  const epsilon = fourcc === "Pcam" ? await reader.f32("epsilon") : 0;
  const rotate = await reader.bool("random_rotation");
  const bins = fourcc === "PCAm" ? 0 : await reader.i32("balanced_bins");
  const mean = await readFloats(reader, "mean");
  const eigenvalues = await readFloats(reader, "eigenvalues");
  const components = await readFloats(reader, "PCAMat");
  return { fourcc, power, epsilon, rotate, bins, mean, eigenvalues, components };
}

async function readMatrix(
  reader: Reader,
): Promise<{ matrix: Float32Array; bias: Float32Array | undefined; tail: Tail }> {
  const hasBias = await reader.bool("have_bias");
  const matrix = await readFloats(reader, "A");
  const bias = await readFloats(reader, "b");
  const tail = await readTail(reader);
  const { din, dout, isTrained } = tail;
  if (matrix.length !== (isTrained ? din * dout : 0)) {
    reader.wrong(
      "A",
      25 + matrix.byteLength + bias.byteLength,
      `has ${matrix.length} numbers for ${dout} x ${din}, and the transform is ${isTrained ? "" : "un"}trained`,
    );
  }
  if (bias.length !== (hasBias && isTrained ? dout : 0))
    reader.wrong("b", 17 + bias.byteLength, `has ${bias.length} numbers for ${dout}`);
  return { matrix, bias: bias.length > 0 ? bias : undefined, tail };
}

async function readTail(reader: Reader): Promise<Tail> {
  const din = await reader.i32("d_in");
  if (din < 1 || din > MAX_D) reader.wrong("d_in", 4, `is ${din}, not from 1 to ${MAX_D}`);
  const dout = await reader.i32("d_out");
  if (dout < 1 || dout > MAX_D) reader.wrong("d_out", 4, `is ${dout}, not from 1 to ${MAX_D}`);
  return { din, dout, isTrained: await reader.bool("is_trained of the transform") };
}

async function readFloats(reader: Reader, field: string): Promise<Float32Array<ArrayBuffer>> {
  const count = await reader.vectorCount(field, 4);
  return new Float32Array((await reader.bytes(field, count * 4)).buffer);
}

function filled<T extends LinearTransform>(
  transform: T,
  matrix: Float32Array,
  bias: Float32Array | undefined,
  tail: Tail,
): T {
  if (tail.isTrained) transform.set(matrix, bias);
  return transform;
}

/** Checks a transform that has nothing to learn and so many dimensions out. */
function expectTrained(reader: Reader, { dout, isTrained }: Tail, expected: number): void {
  if (dout !== expected) reader.wrong("d_out", 5, `is ${dout}, not ${expected}`);
  if (!isTrained) reader.wrong("is_trained of the transform", 1, "is 0, and there is nothing to learn");
}
