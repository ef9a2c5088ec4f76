// The service worker of an extension: no import while it runs, neither document nor window.

import * as core from "cellist";
import { more } from "cellist/more";
import * as rvc from "cellist/rvc";
import { runSearches } from "../searches.mjs";

self.searches = async () => {
  await checkMore();
  return runSearches({ ...core, ...rvc }, new Uint8Array(await (await fetch("vectors.npy")).arrayBuffer()));
};

/** Kinds that the core imports elsewhere are given to it here; without, it says so in its own words. */
async function checkMore() {
  const index = await core.indexFactory(8, "HNSW8", core.METRIC_L2, { more });
  await index.add(new Float32Array(80).map((_, i) => i));
  const { labels } = index.search(index.reconstruct(3), 1);
  if (labels[0] !== 3) throw new Error(`HNSW8 finds ${labels[0]} for 3`);
  const error = await core.indexFactory(8, "HNSW8").then(
    () => undefined,
    (reason) => reason,
  );
  if (error !== undefined && !(error instanceof core.CellistError)) throw error;
}
