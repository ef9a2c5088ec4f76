// Indexes from a server, with a cache: the first visit fetches, the second one has no connection.

import { checksum, readVectors } from "./searches.mjs";

const OPTIONS = { k: 8, rate: 0.75, nprobe: 4, kFactor: 4 };

/**
 * Opens the files of a folder, searches and blends with them, and loads them but for one, and returns a checksum of each.
 *
 * @param cellist openRemote, readVoice and blend
 * @param file vectors.npy
 * @param again whether it is the second visit: the folder has been told that the connection is gone
 */
export async function visitRemote({ openRemote, readVoice, blend }, folder, file, cache, again = false) {
  const { queries } = readVectors(file);
  const sums = {};
  for (const name of ["ivf.index", "pq.index", "small.voice", "whole.index", "part.index"]) {
    const remote = await openRemote(folder + name, { cache, readAhead: 0 });
    const { kFactor, ...rest } = OPTIONS;
    const options = name === "pq.index" ? { ...rest, kFactor } : rest;
    const some = name === "part.index" ? queries.slice(0, 2 * 64) : queries;
    const blended = await remote.blend(some.slice(), options);
    sums[name] = checksum(blended);
    if (!again) {
      const whole = await readVoice(await fetch(folder + name));
      if (checksum(blend(whole, some.slice(), options)) !== sums[name])
        throw new Error(`${name} blends otherwise than the whole file does`);
      whole.dispose();
    }
    if (name === "part.index") {
      if (remote.resident >= remote.size) throw new Error("the whole file was fetched for two queries");
      const error = again && (await remote.load().catch((thrown) => thrown));
      if (again && error?.code !== "ERR_FORMAT") throw new Error(`loading without a connection ended with ${error}`);
    } else {
      await remote.load();
    }
    await remote.settled();
    if (name !== "part.index") sums[`${name} in the end`] = checksum((await remote.toIndex()).toBytes());
    else remote.dispose();
  }
  return sums;
}

/** Both visits. */
export async function visitTwice(cellist, folder, file, cache) {
  const first = await visitRemote(cellist, folder, file, cache);
  await goOffline(folder);
  const second = await visitRemote(cellist, folder, file, cache, true);
  if (JSON.stringify(first) !== JSON.stringify(second))
    throw new Error(`the second visit gave ${JSON.stringify(second)}, the first ${JSON.stringify(first)}`);
  return first;
}

/** Has the server answer nothing more from a folder. */
export async function goOffline(folder) {
  await fetch(`${folder}gone`, { method: "POST" });
}
