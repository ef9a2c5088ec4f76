// Where the compiler's library knows Symbol.dispose, `using` does as well.

import { indexFactory } from "cellist";
import * as behindWorker from "cellist/worker";

export async function dimensions(): Promise<number> {
  using index = await indexFactory(64, "Flat");
  await using other = await behindWorker.indexFactory(64, "Flat");
  return index.d + (await other.ntotal);
}
