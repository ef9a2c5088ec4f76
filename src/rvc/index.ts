/**
 * Voices: the features of retrieval-based voice conversion (RVC), blended with their neighbours, and the index to find those in.
 *
 * @module
 */
// Not for what it exports: what two entries share is a file of its own, and an entry that needs the whole core shares one file of it,
// not two. Each more that "cellist" is made of costs Node 20 one to two milliseconds at the start.
import "../open.js";

export { voiceCodec } from "../codec/voice-codec.js";
export { blend } from "./blend.js";
export type { BlendOptions } from "./blend.js";
export { buildVoiceIndex } from "./build.js";
export type { Voice, VoiceOptions } from "./build.js";
export type { Slice, SliceData, SliceLike, Slices } from "./slices.js";
export { measureVoice } from "./measure.js";
export type { MeasureOptions, VoiceReport, VoiceSetting } from "./measure.js";
export { readVoice, shrinkVoice } from "./shrink.js";
export type { Shrunk, ShrinkOptions, ShrinkReport } from "./shrink.js";
