/**
 * What the core does not carry: the kinds of index beside Flat, PQ…x4fs and the IVF of these (scalar and product quantizers, RaBitQ and
 * EDEN, HNSW, vector transforms, Panorama), the whole grammar of descriptions, and what tells what a file is that is no index, or is in a zip.
 * indexFactory and readIndex import it by themselves where it is asked for. A runtime that can't import while it runs (an AudioWorklet, a
 * service worker) gives it to them.
 *
 * @example
 *   import { readIndex } from "cellist";
 *   import { more } from "cellist/more";
 *   const index = await readIndex(bytes, { more });
 *
 * @module
 */
import type { More } from "../wasm/options.js";
import { rest } from "./rest.js";

/**
 * What this entry has, as the option `more` of indexFactory, readIndex and openRemote takes it.
 *
 * @example
 *   const index = await indexFactory(768, "HNSW32", METRIC_L2, { more });
 */
export const more: More = rest;
export type { More } from "../wasm/options.js";
// The same as of "cellist". Bundlers put what two of their files share into a third: so the whole core is one file for them, a kilobyte less
// when it is compressed than in two.
export { indexFactory, readIndex } from "../open.js";
