/**
 * Voices: the features of retrieval-based voice conversion (RVC), blended with their neighbours, and the index to find those in.
 *
 * @module
 */
export { blend } from "./blend.js";
export type { BlendOptions } from "./blend.js";
export { buildVoiceIndex } from "./build.js";
export type { Voice, VoiceOptions } from "./build.js";
export type { Slice } from "./npy.js";
