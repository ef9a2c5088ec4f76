/** What the worker needs to answer sound with sound. It stands with the sample: other voices have no sound. */
export { Mosaic } from "./mosaic.js";
export { resampled, useSpeex } from "./resample.js";
export { rowsOf } from "./log-mel.js";
