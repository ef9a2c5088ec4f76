import { what } from "../checks.js";
import { fail } from "../errors.js";
import { whereOf } from "../handle/where.js";
import type { Where } from "../handle/where.js";
import type { AsyncFilter } from "./async-index.js";

/** How the page's filters reach the worker's: by number, since each is made there once. */
export interface FilterLink {
  /** Has the filter made; messages keep their order, so nobody waits for it. */
  make(id: number, where: Where): void;
  /** Says that nobody has it any more. */
  drop(id: number): void;
  count(id: number): Promise<number>;
}

let last = 0;

/** A filter of an index in a worker. It is made there, and given up when the page has given it up. */
export class RemoteFilter implements AsyncFilter {
  readonly #link: FilterLink;
  readonly #where: Where;
  readonly #id: number;

  constructor(link: FilterLink, where: Where) {
    this.#link = link;
    this.#where = where;
    this.#id = ++last;
    link.make(this.#id, where);
    gone?.register(this, { link, id: this.#id });
    Object.freeze(this);
  }

  get count(): Promise<number> {
    return this.#link.count(this.#id);
  }

  not(): AsyncFilter {
    return new RemoteFilter(this.#link, { kind: "not", of: this.#where });
  }

  and(other: AsyncFilter): AsyncFilter {
    return new RemoteFilter(this.#link, { kind: "and", a: this.#where, b: own(this.#link, other).#where });
  }

  or(other: AsyncFilter): AsyncFilter {
    return new RemoteFilter(this.#link, { kind: "or", a: this.#where, b: own(this.#link, other).#where });
  }

  /** The number of a filter that goes along with a call over this link. ERR_PARAMETER for anything else. */
  static idOf(link: FilterLink, given: unknown): number {
    return own(link, given).#id;
  }

  /** Of the link that made it. */
  isOf(link: FilterLink): boolean {
    return this.#link === link;
  }
}

/** Where the runtime tells of it, filters that are forgotten are given up in the worker, too. */
const gone =
  typeof FinalizationRegistry === "function"
    ? new FinalizationRegistry<{ link: FilterLink; id: number }>(({ link, id }) => link.drop(id))
    : undefined;

/** What can be sent of what says which ids. ERR_UNSUPPORTED for a function, which can't; else as the page's filters. */
export function sendableWhere(which: unknown): Where {
  if (typeof which === "function")
    fail("ERR_UNSUPPORTED", "a function can't be sent to a worker: give ids, as in (await index.ids()).filter(…)");
  return whereOf(which);
}

function own(link: FilterLink, given: unknown): RemoteFilter {
  if (!(given instanceof RemoteFilter))
    fail("ERR_PARAMETER", `the filter is ${what(given)}: make one by the index's filter method`);
  if (!given.isOf(link))
    fail("ERR_PARAMETER", "the filter is of another index: make one by this index's filter method");
  return given;
}
