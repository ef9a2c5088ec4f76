// What a graph search is told beyond its queries: records in memory, each written once by TypeScript and read by address.

/**
 * A hierarchy of neighbour lists, laid out as in a faiss file: those of a vertex lie one after the other, level 0 first.
 *
 *     links    | v0: level 0 …… | level 1 … | v1: level 0 …… | v2: level 0 …… | level 1 … | level 2 … |
 *                ^ offsets[0]                 ^ offsets[1]     ^ offsets[2]
 *
 * widths[l] is where the list of level l begins within those of a vertex, in links; a list ends at its end or at the first -1.
 */
@unmanaged
export class Graph {
  /** i32 slots. */
  links: usize;
  /** u32, n + 1. */
  offsets: usize;
  /** i32, one more than there are levels. */
  widths: usize;
  /** Vertices. */
  n: i32;
  /** The vertex that a search starts from, on the highest level; -1 where there is none. */
  entry: i32;
  /** The highest level, from 0. */
  top: i32;
  /** Links of the longest list up to that level. */
  width: i32;
  /** How many of the nearest a search looks behind. */
  ef: i32;
  /** How many it keeps: so many, or k if that is more, and no more than there are vertices. */
  room: i32;
  /** Heads of the rows (sieve.ts), or 0. */
  heads: usize;

  /** Where the list of a vertex on a level begins. */
  @inline
  begin(vertex: i32, level: i32): usize {
    const offset = load<u32>(this.offsets + ((<usize>vertex) << 2)) + load<u32>(this.widths + ((<usize>level) << 2));
    return this.links + ((<usize>offset) << 2);
  }

  /** Bytes of a list on a level. */
  @inline
  size(level: i32): usize {
    const at = this.widths + ((<usize>level) << 2);
    return (<usize>(load<u32>(at, 4) - load<u32>(at))) << 2;
  }
}
