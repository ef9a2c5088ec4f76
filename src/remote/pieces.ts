import type { Ranges } from "./ranges.js";
import { Pace, reasonOf, throwIfAborted } from "../work/pace.js";
import type { CachedFile } from "./cache.js";

/** A stretch of the file that is fetched as a whole: a list, or some rows. */
export interface Piece {
  from: number;
  to: number;
}

/** Requests under way at once: what browsers allow a server of HTTP/1.1. */
const MOST_REQUESTS = 6;
/** Bytes of a request at most, unless one piece is longer: short enough that what becomes urgent need not wait for long. */
const MOST_BYTES = 1 << 20;
/**
 * Bytes under way from which on nothing more is asked for, unless it is waited for: more requests would only come later each, all at once
 * in the end. 1 MB is what 100 Mbit/s and 80 ms hold.
 */
const MOST_UNDER_WAY = 1 << 20;
/** What is waited for goes before all that was merely asked for, whenever that was. */
const URGENT = 2 ** 40;
/** Ranks of what was asked for begin here, and those of what is only likely to be end below {@link AHEAD}. */
const ASKED = 1;
const AHEAD = 0.5;
/** What could not be had is left alone until somebody asks for it: a load that waits for others would ask for it without end. */
const LOST = -1;
/** Where a piece is that was asked for: on its way, or with others that have come and are put where they belong. */
const COMING = 1;
const READ = 2;

/** Pieces behind the last one of which more has to be read before it is known where each stands. */
export interface More {
  /** Bytes of the file that are not there, theirs among them. */
  bytes: number;
  count: number;
  /** Resolves when it is time to ask for that. */
  soon(signal: AbortSignal): Promise<void>;
  /** Reads what tells them. What fails can be asked for again. */
  open(signal: AbortSignal): Promise<readonly Piece[]>;
}

interface Waiting {
  resolve: () => void;
  reject: (reason: unknown) => void;
}

/**
 * Which pieces of a file are there, which are wanted and how much, and the requests that bring them: what somebody waits for first, then
 * what was asked for last, then, once everything is to be loaded, the rest. Neighbours in the file come with one request.
 */
export class Pieces {
  /** In the order of the file, as far as they are known. */
  readonly pieces: Piece[];
  /** Pieces that are there. */
  there: Uint8Array;
  /** Bytes of the pieces that are there, and how many these are. */
  bytes = 0;
  count = 0;
  readonly #ranges: Ranges;
  readonly #take: (piece: number, bytes: Uint8Array) => void;
  readonly #warn: (message: string) => void;
  readonly #closing = new AbortController();
  readonly #pace = new Pace({ signal: this.#closing.signal });
  /** How much a piece is wanted: 0 not at all, else the time it was asked for, in askings; {@link LOST} where it could not be had then. */
  #rank: Float64Array;
  #underWay: Uint8Array;
  readonly #waiting = new Map<number, Waiting[]>();
  #clock = 1;
  #requests = 0;
  #bytesUnderWay = 0;
  /** Bytes that have come and are not yet put where they belong: from a fast source they would pile up. */
  #bytesRead = 0;
  #loading = 0;
  /** Whether somebody will look for work soon. */
  #called = false;
  /** Bytes of all known pieces. */
  #bytes: number;
  #more: More | undefined;
  /** While what tells more pieces is read, and whether that failed, to be tried again at the next asking. */
  #opening: Promise<void> | undefined;
  #failed = false;
  /** How many wait for that. */
  #curious = 0;
  #cache: CachedFile | undefined;

  /**
   * @param pieces in the order of the file, none over another
   * @param take puts a piece where it belongs; what it throws is told to whoever waits for the piece
   * @param warn is told of what can't be had and nobody waits for
   * @param more what comes behind them; it is asked for soon, and again once all of these are there
   */
  constructor(
    ranges: Ranges,
    pieces: readonly Piece[],
    take: (piece: number, bytes: Uint8Array) => void,
    warn: (message: string) => void,
    more?: More,
  ) {
    this.pieces = [...pieces];
    this.#bytes = bytesOf(pieces);
    this.there = new Uint8Array(pieces.length);
    this.#rank = new Float64Array(pieces.length);
    this.#underWay = new Uint8Array(pieces.length);
    this.#ranges = ranges;
    this.#take = take;
    this.#warn = warn;
    this.#more = more;
    more?.soon(this.#closing.signal).then(
      () => this.#goOn(),
      () => undefined,
    );
  }

  /** Whether all are there. */
  get complete(): boolean {
    return this.count === this.pieces.length && this.#more === undefined;
  }

  /** How many there are, known or not. */
  get total(): number {
    return this.pieces.length + (this.#more?.count ?? 0);
  }

  /** Bytes that are not there. */
  get missing(): number {
    return this.#bytes - this.bytes + (this.#more?.bytes ?? 0);
  }

  /** Resolves when all pieces are known; rejects with what keeps that away. */
  async known(): Promise<void> {
    if (this.#more !== undefined) this.#opening ??= this.#open(this.#more);
    this.#curious++;
    try {
      await this.#opening;
    } finally {
      this.#curious--;
    }
  }

  async #open(more: More): Promise<void> {
    try {
      const pieces = await more.open(this.#closing.signal);
      throwIfAborted(this.#closing.signal);
      this.#more = undefined;
      this.pieces.push(...pieces);
      this.#bytes += bytesOf(pieces);
      this.there = longer(this.there, new Uint8Array(this.pieces.length));
      this.#rank = longer(this.#rank, new Float64Array(this.pieces.length));
      this.#underWay = longer(this.#underWay, new Uint8Array(this.pieces.length));
      if (this.#cache !== undefined) await this.restore(this.#cache, pieces[0]?.from);
      this.#call();
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  /** Takes what the cache has behind a byte. What it has damaged is fetched again. */
  async restore(cache: CachedFile, behind = 0): Promise<void> {
    this.#cache = cache;
    // A piece may lie on two stretches that touch: what there is of it waits for the next one.
    let [start, left] = [0, new Uint8Array(0)];
    await cache.each((from, bytes) => {
      const end = start + left.length;
      // It lies in one that came before.
      if (from + bytes.length <= end) return;
      let all = bytes;
      if (left.length > 0 && from <= end && from + bytes.length > end) {
        all = new Uint8Array(from + bytes.length - start);
        all.set(left);
        all.set(bytes.subarray(end - from), left.length);
        from = start;
      }
      let piece = this.#first(from);
      for (; piece < this.pieces.length && this.pieces[piece].to <= from + all.length; piece++) {
        const { from: first, to } = this.pieces[piece];
        if (this.there[piece] === 0) this.#arrive(piece, all.slice(first - from, to - from));
      }
      start = piece < this.pieces.length ? Math.min(this.pieces[piece].from, from + all.length) : from + all.length;
      left = all.slice(start - from);
    }, behind);
  }

  /**
   * Asks for a piece, and waits for nothing. No allocation.
   *
   * @param ahead whether it is only likely to be wanted, and comes after all that were asked for
   */
  want(piece: number, ahead = false): void {
    if (this.there[piece] === 1) return;
    const rank = ahead ? this.#clock / URGENT : this.#clock;
    if (this.#rank[piece] < rank) this.#rank[piece] = rank;
    this.#call();
  }

  /** Begins a new asking: what is asked for after it goes before what was asked for up to now. */
  tick(): void {
    this.#clock++;
    if (!this.#failed) return;
    this.#failed = false;
    this.#call();
  }

  /** Resolves when these are there; rejects with what kept one of them away, or the signal's reason. */
  async need(pieces: Iterable<number>, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const promises: Promise<void>[] = [];
    for (const piece of pieces) {
      if (this.there[piece] === 1) continue;
      this.#rank[piece] = URGENT + this.#clock;
      promises.push(
        new Promise((resolve, reject) => {
          const others = this.#waiting.get(piece);
          if (others === undefined) this.#waiting.set(piece, [{ resolve, reject }]);
          else others.push({ resolve, reject });
        }),
      );
    }
    if (promises.length === 0) return;
    this.#call();
    const all = Promise.all(promises);
    if (signal === undefined) {
      await all;
      return;
    }
    let stop = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(reasonOf(signal));
      signal.addEventListener("abort", stop, { once: true });
    });
    try {
      await Promise.race([all, aborted]);
    } finally {
      signal.removeEventListener("abort", stop);
      all.catch(() => undefined);
    }
  }

  /** Fetches everything. `news` is called as pieces come. */
  async all(signal: AbortSignal | undefined, news: () => void): Promise<void> {
    throwIfAborted(signal);
    this.#loading++;
    for (let piece = 0; piece < this.pieces.length; piece++) this.#rank[piece] = Math.max(0, this.#rank[piece]);
    this.#call();
    try {
      // Waited for one by one, so that the order is that of being wanted, and not of the file.
      for (let piece = 0; piece < this.pieces.length || this.#more !== undefined; piece++) {
        if (piece === this.pieces.length) await new Pace({ signal }).unlessAborted(() => this.known());
        if (piece === this.pieces.length || this.there[piece] === 1) continue;
        await this.#arrival(piece, signal);
        news();
      }
    } finally {
      this.#loading--;
    }
  }

  /** Ends all requests; whoever waits is told `reason`. */
  close(reason: Error): void {
    this.#closing.abort(reason);
    this.#ranges.close();
    for (const piece of [...this.#waiting.keys()]) this.#refuse(piece, reason);
  }

  /** As {@link need}, of one piece and without making it urgent. */
  async #arrival(piece: number, signal: AbortSignal | undefined): Promise<void> {
    const rank = Math.max(0, this.#rank[piece]);
    const promise = this.need([piece], signal);
    if (this.#rank[piece] > URGENT) this.#rank[piece] = rank;
    await promise;
  }

  /** Looks for work when this turn of the event loop is done, so that all that is asked for in it is asked for together. */
  #call(): void {
    if (this.#called) return;
    this.#called = true;
    void Promise.resolve().then(() => {
      this.#called = false;
      while (this.#requests < MOST_REQUESTS && this.#begin());
      if (this.count === this.pieces.length) this.#goOn();
    });
  }

  /** Asks for what comes behind the known pieces. */
  #goOn(): void {
    if (this.#more === undefined || this.#opening !== undefined || this.#failed) return;
    if (this.#closing.signal.aborted) return;
    this.#opening = this.#open(this.#more);
    this.#opening.catch((error: unknown) => {
      if (this.#curious === 0 && !this.#closing.signal.aborted) this.#warn(textOf(error));
    });
  }

  /** Begins the request that is wanted most; false where none is. */
  #begin(): boolean {
    if (this.#closing.signal.aborted) return false;
    const best = this.#best();
    if (best < 0) return false;
    const isFull = this.#bytesUnderWay >= MOST_UNDER_WAY || this.#bytesRead >= 2 * MOST_UNDER_WAY;
    if (this.#rank[best] < URGENT && isFull) return false;
    // Neighbours that are wanted too, as long as what lies between is cheap; pieces between come along.
    let [first, last] = [best, best];
    // What was asked for is not made longer by what is only likely to be.
    const least = this.#rank[best] >= ASKED ? ASKED : 0;
    for (let next = best + 1; next < this.pieces.length && this.#joins(first, last, next); next++)
      if (this.#isWanted(next, least)) last = next;
    for (let next = best - 1; next >= 0 && this.#joins(first, last, next); next--)
      if (this.#isWanted(next, least)) first = next;
    void this.#request(first, last);
    return true;
  }

  /** Whether a request from first to last may go on to a piece before or behind it. */
  #joins(first: number, last: number, piece: number): boolean {
    if (this.#underWay[piece] !== 0) return false;
    const { pieces } = this;
    const from = Math.min(pieces[first].from, pieces[piece].from);
    const to = Math.max(pieces[last].to, pieces[piece].to);
    const gap = piece > last ? pieces[piece].from - pieces[last].to : pieces[first].from - pieces[piece].to;
    return to - from <= (this.#ranges.most ?? MOST_BYTES) && gap <= this.#ranges.bridge;
  }

  #isWanted(piece: number, least = 0): boolean {
    if (this.there[piece] === 1 || this.#underWay[piece] !== 0) return false;
    const rank = this.#rank[piece];
    return (this.#loading > 0 && rank !== LOST) || (rank > 0 && rank >= least);
  }

  /**
   * The piece that is wanted most, or -1: none but what is waited for while some of that is under way, and nothing ahead while anything is that
   * was asked for, for it would take its share of the line.
   */
  #best(): number {
    let most = -1;
    for (let piece = 0; piece < this.pieces.length; piece++) {
      if (this.#underWay[piece] !== COMING) continue;
      if (this.#rank[piece] >= URGENT) most = Math.max(most, URGENT - 1);
      else if (this.#rank[piece] >= ASKED && this.#loading === 0) most = Math.max(most, AHEAD);
    }
    let best = -1;
    for (let piece = 0; piece < this.pieces.length; piece++) {
      if (this.#rank[piece] <= most || !this.#isWanted(piece)) continue;
      best = piece;
      most = this.#rank[piece];
    }
    return best;
  }

  async #request(first: number, last: number): Promise<void> {
    const { from } = this.pieces[first];
    const { to } = this.pieces[last];
    this.#underWay.fill(COMING, first, last + 1);
    let came = 0;
    try {
      const bytes = await this.#read(from, to);
      came = bytes.length;
      this.#bytesRead += came;
      this.#underWay.fill(READ, first, last + 1);
      this.#call();
      for (let piece = first; piece <= last; piece++) {
        // Others may be asked for meanwhile, and blocks blended: to decode a megabyte takes a third of a second.
        await this.#pace.breathe();
        if (this.there[piece] === 1) continue;
        const { from: start, to: end } = this.pieces[piece];
        this.#arrive(piece, bytes.subarray(start - from, end - from));
      }
    } catch (error) {
      let waited = false;
      for (let piece = first; piece <= last; piece++) {
        this.#rank[piece] = LOST;
        waited = this.#refuse(piece, error) || waited;
      }
      if (!waited && !this.#closing.signal.aborted) this.#warn(textOf(error));
    } finally {
      this.#bytesRead -= came;
      this.#underWay.fill(0, first, last + 1);
      this.#call();
    }
  }

  async #read(from: number, to: number): Promise<Uint8Array> {
    this.#requests++;
    this.#bytesUnderWay += to - from;
    try {
      return await this.#ranges.read(from, to, this.#closing.signal);
    } finally {
      this.#requests--;
      this.#bytesUnderWay -= to - from;
    }
  }

  #arrive(piece: number, bytes: Uint8Array): void {
    this.#take(piece, bytes);
    this.there[piece] = 1;
    this.count++;
    this.bytes += bytes.length;
    const waiting = this.#waiting.get(piece);
    this.#waiting.delete(piece);
    if (waiting !== undefined) for (const { resolve } of waiting) resolve();
  }

  /** Tells whoever waits for a piece that it does not come; false where nobody does. */
  #refuse(piece: number, reason: unknown): boolean {
    const waiting = this.#waiting.get(piece);
    this.#waiting.delete(piece);
    if (waiting === undefined) return false;
    for (const { reject } of waiting) reject(reason);
    return true;
  }

  /** The first piece that begins at a byte or behind it. */
  #first(from: number): number {
    let low = 0;
    let high = this.pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.pieces[middle].from < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function bytesOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** An array with what a shorter one has at its beginning. */
function longer<A extends Uint8Array | Float64Array>(beginning: A, array: A): A {
  array.set(beginning);
  return array;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
