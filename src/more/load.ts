import { fail } from "../errors.js";
import type { Rest } from "../faiss/rest.js";

/** Imports what the core does not carry: a chunk of its own, which is fetched once something of it is asked for. */
export async function loadMore(wish: string): Promise<Rest> {
  try {
    const { more } = await import("./index.js");
    return more as Rest;
  } catch (error) {
    return fail(
      "ERR_UNSUPPORTED",
      `${wish} is nothing of "cellist" itself, and "cellist/more" can't be imported while this program runs (${String(error)}): ` +
        `import { more } from "cellist/more" and give it as the option more`,
    );
  }
}
