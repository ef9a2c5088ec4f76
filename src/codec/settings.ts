/** What goes with a step. */
export interface Settings {
  /** The width of a step, for residuals of an rms of 1. */
  step: number;
  /** How much of a step is added to the part that becomes 0, on either side; and how much all other parts begin farther out. */
  deadZone: number;
  shrink: number;
  /** The step of centroids, as a multiple of it. */
  centroidStep: number;
  /** The step of the basis' numbers, as a multiple of their rms, at {@link BASIS_SHARE} dimensions a vector. */
  basisStep: number;
  /** Columns are kept whose standard deviation is above so many steps. */
  least: number;
}

/**
 * Found on two recordings, of 768 and 256 dimensions. Fine centroids pay most where steps are coarse: what is wrong with one is wrong with
 * all of its cell (at a step of 1.4 and 256 dimensions, .15 in place of .55 took the blend error from .29 to .25 for .6 bytes a row).
 */
const TABLE: readonly Settings[] = [
  { step: 0.005, deadZone: 0, shrink: 0, centroidStep: 1.5, basisStep: 0.05, least: 0.28 },
  { step: 0.024, deadZone: 0, shrink: 0, centroidStep: 1.5, basisStep: 0.07, least: 0.28 },
  { step: 0.2, deadZone: 0.08, shrink: 0.02, centroidStep: 1, basisStep: 0.25, least: 0.28 },
  { step: 0.7, deadZone: 0.13, shrink: 0.06, centroidStep: 0.3, basisStep: 0.3, least: 0.33 },
  { step: 1.4, deadZone: 0.13, shrink: 0.13, centroidStep: 0.2, basisStep: 0.3, least: 0.4 },
  { step: 2.6, deadZone: 0.13, shrink: 0.13, centroidStep: 0.12, basisStep: 0.35, least: 0.45 },
];

/**
 * Dimensions for each vector of the voice that steps of the basis were found on: with fewer, finer steps cost next to nothing (58,050 x 256:
 * a third of the step took 1 % of the bytes away at 1/15 and 1/31).
 */
export const BASIS_SHARE = 0.039;

/** The finest and the coarsest step. */
export const FINEST: number = TABLE[0].step;
export const COARSEST = 6;

/** The settings of a step: between those of the table, on straight lines. */
export function settingsOf(step: number): Settings {
  let i = 1;
  while (i < TABLE.length - 1 && TABLE[i].step < step) i++;
  const [a, b] = [TABLE[i - 1], TABLE[i]];
  const share = Math.max(0, Math.min(1, (step - a.step) / (b.step - a.step)));
  const between = (name: keyof Settings): number => a[name] + share * (b[name] - a[name]);
  return {
    step,
    deadZone: between("deadZone"),
    shrink: between("shrink"),
    centroidStep: between("centroidStep"),
    basisStep: between("basisStep"),
    least: between("least"),
  };
}
