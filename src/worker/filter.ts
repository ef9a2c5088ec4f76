import type { Labels } from "../api.js";
import { what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import { matcherOf } from "../handle/where.js";
import type { Where } from "../handle/where.js";
import type { AsyncFilter } from "./async-index.js";

/** How the page's filters reach the worker's: by number, since each is made there once. */
export interface FilterLink {
  /** Has the filter made; messages keep their order, so nobody waits for it. */
  make(id: number, where: Where): void;
  /** Says that nobody has it any more. */
  drop(id: number): void;
  count(id: number): Promise<number>;
  /** All ids, and of which state of the index they are; undefined where it is still of this one. */
  idsSince(version: number): Promise<{ version: number; ids: Labels } | undefined>;
}

let last = 0;

/**
 * A filter of an index in a worker. It is made there, and given up when the page has given it up. A function can't be sent: it is asked here,
 * of all ids, when it is first needed and again once the index has changed, and what it admits is sent.
 */
export class RemoteFilter implements AsyncFilter {
  readonly #link: FilterLink;
  readonly #where: Where;
  readonly #id: number;
  readonly #asks: boolean;
  /** The state of the index that functions were asked for. */
  #version = -1;

  constructor(link: FilterLink, where: Where) {
    this.#link = link;
    this.#where = where;
    this.#id = ++last;
    this.#asks = asks(where);
    if (!this.#asks) link.make(this.#id, where);
    gone?.register(this, { link, id: this.#id });
    Object.freeze(this);
  }

  get count(): Promise<number> {
    return this.#count();
  }

  async #count(): Promise<number> {
    if (this.#asks) await this.#settle();
    return this.#link.count(this.#id);
  }

  /** Sends what functions admit of the ids that there are. Those that are added later are admitted by no search that was called before. */
  async #settle(): Promise<void> {
    const news = await this.#link.idsSince(this.#version);
    if (news === undefined) return;
    const { ids, version } = news;
    const matches = matcherOf(this.#where, ids instanceof BigInt64Array);
    const admitted = makingArrays(() => BigInt64Array.from(Array.from<number | bigint>(ids).filter(matches), BigInt));
    this.#link.make(this.#id, { kind: "ids", ids: admitted });
    this.#version = version;
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

  /**
   * The number of a filter that goes along with a call over this link, and what the call must wait for, which is nothing unless a function
   * is to be asked. ERR_PARAMETER for anything else.
   */
  static goingWith(link: FilterLink, given: unknown): { id: number; settled: Promise<void> | undefined } {
    const filter = own(link, given);
    return { id: filter.#id, settled: filter.#asks ? filter.#settle() : undefined };
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

/** Whether a function has a say in it. */
function asks(where: Where): boolean {
  switch (where.kind) {
    case "predicate":
      return true;
    case "not":
      return asks(where.of);
    case "and":
    case "or":
      return asks(where.a) || asks(where.b);
    default:
      return false;
  }
}

function own(link: FilterLink, given: unknown): RemoteFilter {
  if (!(given instanceof RemoteFilter))
    fail("ERR_PARAMETER", `the filter is ${what(given)}: make one by the index's filter method`);
  if (!given.isOf(link))
    fail("ERR_PARAMETER", "the filter is of another index: make one by this index's filter method");
  return given;
}
