import { MORE_KINDS } from "../faiss/more-kinds.js";
import type { Rest } from "../faiss/rest.js";
import { refuse } from "../faiss/unbuilt.js";
import { plan } from "../factory/plan.js";
import { others } from "../format/identify.js";
import { relaxedKernels } from "../wasm/more.js";

/** What "cellist/more" has. */
export const rest: Rest = { kinds: MORE_KINDS, plan, refuse, others, relaxedKernels };
