/** `cellist/remote`: an index that is searched before it is there. */

export type { Fetch } from "./http.js";
export type { RangeReader } from "./ranges.js";
export { openRemote } from "./open.js";
export type { RemoteOptions, RemoteSource } from "./open.js";
export { RemoteIndex } from "./remote-index.js";
export { orderBySimilarity } from "./similarity.js";
