// The probes of a block, list by list: so that a list that several queries want comes from memory once.

/**
 * Groups the pairs of query and list among probes (nq x nprobe list numbers, for a query each once, -1 for none), those in the columns from … until - 1.
 *
 *     probes   q0: 7 2      places[2] = 2, the end of list 2's      pairs | 0 1 | 0 | 1 |
 *              q1: 2 9      places[7] = 3, places[9] = 4                   list 2  7   9
 *
 * places: (nlist + 1) i32, of which place `list` becomes the number of the pair behind the last one of that list, lists without pairs
 * repeating it. pairs: the queries' numbers, i32, in ascending order for each list.
 */
export function groupByList(
  probes: usize,
  nq: i32,
  nprobe: i32,
  from: i32,
  until: i32,
  nlist: i32,
  places: usize,
  pairs: usize,
): void {
  memory.fill(places, 0, (<usize>(nlist + 1)) << 2);
  for (let i = 0; i < nq; i++) {
    for (let p = from; p < until; p++) {
      const list = load<i32>(probes + ((<usize>(i * nprobe + p)) << 2));
      const at = places + ((<usize>(list + 1)) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
  }
  // Probes of -1 counted at place 0 are left out.
  store<i32>(places, 0);
  for (let list = 0; list < nlist; list++) {
    const at = places + ((<usize>list) << 2);
    store<i32>(at, load<i32>(at, 4) + load<i32>(at), 4);
  }
  for (let i = 0; i < nq; i++) {
    for (let p = from; p < until; p++) {
      const list = load<i32>(probes + ((<usize>(i * nprobe + p)) << 2));
      if (list < 0) continue;
      const at = places + ((<usize>list) << 2);
      const place = load<i32>(at);
      store<i32>(pairs + ((<usize>place) << 2), i);
      store<i32>(at, place + 1);
    }
  }
}
