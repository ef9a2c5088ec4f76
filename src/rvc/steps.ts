import type { Analysis } from "../codec/analysis.js";
import type { Cells } from "../codec/cells.js";
import { encode, Encoder, RATIO } from "../codec/encoder.js";
import type { Encoded } from "../codec/encoder.js";
import { COARSEST, FINEST } from "../codec/settings.js";
import { fail } from "../errors.js";
import type { VectorIndex } from "../handle/vector-index.js";
import type { Pace } from "../work/pace.js";

/** How much smaller than asked a file may be. */
const SLACK = 0.002;
/** A basis does for steps so many times as large or small: at an eighth, one of steps 1.4 times as coarse changed the size by .1 %. */
const NEAR = 1.25;
/** How often another basis is made, and files of one, until a size is met. */
const MOVES = 12;
const TRIES = 4;
/** Sizes, in bytes a number, and errors that steps are known to give: where a search begins. */
const KNOWN: readonly { step: number; bytes: number; error: number }[] = [
  { step: 0.0127, bytes: 1, error: 0.0023 },
  { step: 0.024, bytes: 0.887, error: 0.006 },
  { step: 0.2, bytes: 0.49, error: 0.046 },
  { step: 0.7, bytes: 0.255, error: 0.15 },
  { step: 1.4, bytes: 0.12, error: 0.29 },
  { step: 2.6, bytes: 0.049, error: 0.46 },
];

/** How the error of a file is measured. */
export interface Trial {
  /** Opens it. */
  open(encoded: Encoded): Promise<VectorIndex>;
  /** Of its blends; null where there are none. */
  errorOf(index: VectorIndex): Promise<number | null>;
}

/** A file that was measured, and its index. */
export interface Tried {
  encoded: Encoded;
  index: VectorIndex;
}

/** The steps of a file, the last one given. */
function stepsOf(last: number, layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) => last * RATIO ** (layers - 1 - layer));
}

/** The finest step whose file has at most so many bytes. */
export async function forBytes(
  analysis: Analysis,
  cells: Cells,
  target: { bytes: number; layers: number },
  pace: Pace,
): Promise<Encoded> {
  const { bytes, layers } = target;
  const numbers = cells.ids.length * cells.d;
  const coarsest = COARSEST / RATIO ** (layers - 1);
  let step = between(bytes / numbers, "bytes", FINEST, coarsest);
  for (let moves = 0; ; moves++) {
    const [from, to] = [Math.max(FINEST, step / NEAR), Math.min(coarsest, step * NEAR)];
    const encoder = await Encoder.at(analysis, stepsOf(step, layers), pace);
    try {
      const sizeAt = (own: number): Promise<number> => encoder.estimate(stepsOf(own, layers), pace);
      // How much larger a file is than its estimate; known once there is one.
      let more = 1;
      let best: Encoded | undefined;
      for (let tries = 0; tries < TRIES; tries++) {
        step = await stepFor(sizeAt, (bytes * (1 - SLACK / 2)) / more, step, from, to, numbers);
        // Another basis suits it better.
        if (tries === 0 && moves < MOVES && ((step === from && from > FINEST) || (step === to && to < coarsest))) break;
        const encoded = await encoder.encode(stepsOf(step, layers), pace);
        const { size } = encoded;
        if (size > bytes && step === coarsest)
          fail("ERR_PARAMETER", `bytes is ${bytes}, and about ${size} are needed at the least: ask for more`);
        if (size <= bytes && size > (best?.size ?? 0)) best = encoded;
        if (size <= bytes && (size >= bytes * (1 - SLACK) || step === FINEST)) break;
        more = size / (await sizeAt(step));
      }
      if (best !== undefined) return best;
    } finally {
      encoder.release();
    }
    // Sizes that jump, of a handful of vectors: a coarser one then.
    if (moves > MOVES) step = Math.min(coarsest, step * NEAR);
  }
}

/** The step between two at which a size is about the one that is wanted; sizes fall as steps grow. */
async function stepFor(
  sizeAt: (step: number) => Promise<number>,
  wanted: number,
  first: number,
  from: number,
  to: number,
  numbers: number,
): Promise<number> {
  let [fine, coarse] = [from, to];
  let [fineKnown, coarseKnown] = [false, false];
  let step = first;
  // Octaves of the step for each byte: at first as where a step half as large is nearly a bit more a number.
  let slope = 8 / numbers / 0.9;
  let before: { step: number; size: number } | undefined;
  for (let i = 0; i < 10; i++) {
    const size = await sizeAt(step);
    if (Math.abs(size / wanted - 1) < SLACK / 8) return step;
    if (size > wanted ? step === to : step === from) return step;
    if (size > wanted) [fine, fineKnown] = [step, true];
    else [coarse, coarseKnown] = [step, true];
    if (coarse / fine < 1 + SLACK / 8) return coarse;
    if (before !== undefined && before.size !== size) {
      const measured = Math.log2(step / before.step) / (before.size - size);
      if (measured > 0) slope = measured;
    }
    before = { step, size };
    const next = step * 2 ** ((size - wanted) * slope);
    const middle = Math.sqrt(fine * coarse);
    if (next <= fine) step = fineKnown ? middle : fine;
    else if (next >= coarse) step = coarseKnown ? middle : coarse;
    else step = next;
  }
  return coarse;
}

/** The coarsest step whose file has at most so much of an error, and its index. */
export async function forError(
  analysis: Analysis,
  target: { error: number; layers: number },
  trial: Trial,
  pace: Pace,
): Promise<Tried> {
  const { error, layers } = target;
  const coarsest = COARSEST / RATIO ** (layers - 1);
  let [fine, coarse] = [FINEST, coarsest];
  let step = between(error, "error", fine, coarse);
  let best: Tried | undefined;
  for (let round = 0; round < 6; round++) {
    const encoded = await encode(analysis, stepsOf(step, layers), pace);
    const index = await trial.open(encoded);
    const own = await trial.errorOf(index);
    if (own === null) {
      index.dispose();
      fail("ERR_METRIC", "errors are of blends, which inner products have none of: ask for bytes or a ratio");
    }
    if (own <= error) {
      best?.index?.dispose();
      best = { encoded, index };
      if (own >= error * 0.94 || step >= coarsest * 0.999) return best;
      fine = step;
    } else {
      index.dispose();
      coarse = step;
    }
    if (coarse / fine < 1.02) break;
    // Errors go with steps, nearly.
    const next = own > 0 ? step * ((error * 0.97) / own) : coarse;
    step = next > fine && next < coarse ? next : Math.sqrt(fine * coarse);
  }
  return best ?? fail("ERR_PARAMETER", `error is ${error}, less than the finest step reaches: keep the index as it is`);
}

/** The step that is known to have about such a value, between two. */
function between(value: number, name: "bytes" | "error", least: number, most: number): number {
  const rows = name === "error" ? KNOWN : [...KNOWN].reverse();
  let i = 1;
  while (i < rows.length - 1 && rows[i][name] < value) i++;
  const [a, b] = [rows[i - 1], rows[i]];
  const share = (value - a[name]) / (b[name] - a[name]);
  const step = a.step + share * (b.step - a.step);
  return Math.max(least, Math.min(most, step > 0 ? step : least));
}
