import { CellistError } from "../errors.js";
import type { Engine } from "../wasm/engine.js";
import type { Crew, Warning } from "../wasm/options.js";
import type { Kernels } from "../wasm/kernels.gen.js";
import type { MoreKernels } from "../wasm/more.js";
import {
  ARGS,
  ARGS_COUNT,
  BASE,
  BELL,
  BUSY,
  COUNT_ARG,
  DONE,
  ENGINE,
  FAILED,
  GONE,
  KERNEL,
  LEFT,
  LISTENING,
  MAIL,
  PAGE,
  PAGES,
  PIECE,
  RECORD_ARGS,
  RECORD_STEPS,
  RESULT,
  RESULT_STEP,
  SCRATCH_ARG,
  slotAt,
  STATES,
  STEPS,
  STRIDE,
  takePiece,
  TICKET,
  TOTAL,
  WAKE,
} from "./control.js";
import type { ToHelper } from "./messages.js";
import { copier, copying } from "./copier.js";
import { RECORDS_ROOM, runPiece, turnTo } from "./piece.js";
import type { Kernel } from "./piece.js";
import { shared } from "./shared-module.js";
import { KERNELS, recordsAmong, SHARES, TOUCH } from "./shares.js";
import type { Share } from "./shares.js";

/** What a worker is told of the threads that help its index. */
export interface Team {
  control: SharedArrayBuffer;
  /** The index's slot. */
  slot: number;
  /** The helpers' numbers in the pool, and a port to each. */
  helpers: readonly { number: number; port: MessagePort }[];
  /** Kernels that were compiled for threads before, by their names. */
  modules: Readonly<Record<string, WebAssembly.Module>>;
}

/** Looks at whether others are done before the thread lies down: .2 ms of them in Node 20, where to be woken takes a thread .01 to .3. */
const LOOKS = 2000;
/** Numbers that the engines of a slot have in turn. */
const NUMBERS = 0xffffff;

/** Floats that helpers see, on their way to an engine: the number of the kernel that copies them, and that kernel. */
interface Source {
  floats: Float32Array;
  own: Shared;
  number: number;
  copy: Kernel;
}

/** An engine whose work is shared, as helpers know it. */
interface Shared {
  id: number;
  engine: Engine;
  memory: WebAssembly.Memory;
  modules: WebAssembly.Module[];
  words: Int32Array;
  /** Whether helpers have it. */
  isKnown: boolean;
}

/**
 * The threads of an index, as the worker sees them that has it: a kernel that is called there is cut into pieces, of which each thread
 * takes the next, this one too, until none is left. A call returns when all are done, so that nothing above kernels knows of threads.
 *
 * Pieces that nobody has taken are this thread's to do: a helper that is late, or no more, costs time and nothing else. One that ends in the
 * midst of a piece makes the call fail.
 */
export class ThreadCrew implements Crew {
  readonly #control: Int32Array;
  readonly #slot: number;
  readonly #helpers: Team["helpers"];
  /** The index's own engine: the first; and the last one beside, which training takes. */
  #own: Shared | undefined;
  #beside: Shared | undefined;
  /** Numbers of engines: where those of this slot begin, and the last one. */
  readonly #first: number;
  #last: number;
  #job = 0;
  /** All engines, for as long as somebody has them. */
  readonly #engines = new WeakMap<WebAssembly.Memory, Shared>();
  /** The memory that each has now. */
  readonly #current = new WeakMap<Engine, Shared>();
  #source: Source | undefined;
  /** The number of the last one, which no kernel has. */
  #lastSource = KERNELS.length;
  readonly modules: Record<string, WebAssembly.Module>;

  constructor(team: Team, onWarning: (warning: Warning) => void) {
    this.#control = new Int32Array(team.control);
    this.#slot = slotAt(team.slot);
    this.#helpers = team.helpers;
    this.modules = { ...team.modules };
    for (const { port } of team.helpers) {
      port.onmessage = () => {
        port.onmessage = null;
        const message = "a thread can't be given the memory of an index: the others do its work";
        onWarning({ code: "WARN_THREADS", message });
      };
    }
    // They go on where another index of the slot left off.
    this.#first = team.slot * (NUMBERS + 1);
    this.#last = this.#control[this.#slot + ENGINE] & NUMBERS;
  }

  /** Threads that work, this one among them. */
  get threads(): number {
    return this.#helpers.length + 1;
  }

  shared(module: Uint8Array): Uint8Array<ArrayBuffer> {
    return shared(module);
  }

  share<T extends object>(engine: Engine, memory: WebAssembly.Memory, module: WebAssembly.Module, exports: T): T {
    const own = this.#enter(engine, memory);
    own.modules.push(module);
    if (own.isKnown) this.#introduce(own, [module]);
    const all = { ...exports } as Record<string, unknown>;
    KERNELS.forEach((name, number) => {
      const kernel = all[name] as Kernel | undefined;
      if (kernel === undefined) return;
      all[name] = (...args: number[]): unknown => {
        const share = SHARES[name](args, engine, exports as unknown as Kernels & MoreKernels);
        if (share === undefined) return kernel(...args);
        if (!this.#run(own, number, kernel, args, share)) return runAlone(kernel, args, share, engine.i32);
        share.after?.();
        return share.result === undefined ? undefined : this.#control[this.#slot + RESULT];
      };
    });
    return all as unknown as T;
  }

  /** The engine with this memory, which is another one where it was compacted. */
  #enter(engine: Engine, memory: WebAssembly.Memory): Shared {
    const known = this.#own?.memory === memory ? this.#own : this.#engines.get(memory);
    if (known !== undefined) return known;
    this.#last = (this.#last + 1) & NUMBERS;
    const id = this.#first + this.#last;
    const own = { id, engine, memory, modules: [], words: new Int32Array(memory.buffer), isKnown: false };
    this.#engines.set(memory, own);
    this.#current.set(engine, own);
    if (this.#own === undefined || this.#own.engine === engine) {
      this.#forget(this.#own);
      this.#own = own;
    }
    return own;
  }

  write(engine: Engine, floats: Float32Array, address: number): boolean {
    const own = this.#current.get(engine);
    const share = copying(floats.length);
    if (own === undefined || share === undefined) return false;
    this.#makeKnown(own);
    if (!(floats.buffer instanceof SharedArrayBuffer)) return this.#copyHere(own, floats, address, share);
    let source = this.#source;
    if (source?.floats !== floats || source.own !== own) {
      this.#dropSource();
      const number = ++this.#lastSource;
      source = this.#source = { floats, own, number, copy: copier(floats, own.memory) };
      this.#tell({ kind: "source", id: own.id, number, floats });
    }
    return this.#run(own, source.number, source.copy, [0, floats.length, address], share);
  }

  /** Copies floats that only this thread sees, while helpers take pages into use. */
  #copyHere(own: Shared, floats: Float32Array, address: number, share: Share): boolean {
    const { total, most } = share;
    const copy = copier(floats, own.memory);
    const done = new Set<number>();
    const copyPiece: Kernel = (from, n, to) => {
      copy(from, n, to);
      done.add(from);
    };
    if (!this.#run(own, KERNELS.indexOf(TOUCH), copyPiece, [0, total, address], share)) return false;
    for (let from = 0; from < total; from += most)
      if (!done.has(from)) copy(from, Math.min(most, total - from), address + from * 4);
    return true;
  }

  #dropSource(): void {
    if (this.#source === undefined) return;
    const { own, number } = this.#source;
    this.#source = undefined;
    this.#tell({ kind: "source", id: own.id, number, floats: undefined });
  }

  /** To be called when a call is over: lets go of what it had beside the index. */
  rest(): void {
    this.#dropSource();
    this.#forget(this.#beside);
    this.#beside = undefined;
  }

  /** Lets go of everything. */
  end(): void {
    this.rest();
    this.#forget(this.#own);
    this.#own = undefined;
    for (const { port } of this.#helpers) port.close();
  }

  #forget(own: Shared | undefined): void {
    if (own?.isKnown !== true) return;
    own.isKnown = false;
    this.#tell({ kind: "forget", id: own.id });
  }

  #tell(message: ToHelper): void {
    const control = this.#control;
    for (const { number, port } of this.#helpers) {
      port.postMessage(message);
      Atomics.add(control, MAIL + number, 1);
    }
    this.#ring();
  }

  #ring(): void {
    Atomics.add(this.#control, BELL, 1);
    Atomics.notify(this.#control, BELL);
  }

  /** Has the engine known to the helpers, of which each has a seat. */
  #makeKnown(own: Shared): void {
    if (own !== this.#own && own !== this.#beside) {
      this.#forget(this.#beside);
      this.#beside = own;
    }
    if (own.isKnown) return;
    own.isKnown = true;
    this.#introduce(own, own.modules);
  }

  #introduce({ id, memory }: Shared, modules: WebAssembly.Module[]): void {
    this.#helpers.forEach(({ number, port }, seat) => {
      const message: ToHelper = { kind: "help", slot: this.#slot, id, seat, memory, modules };
      port.postMessage(message);
      Atomics.add(this.#control, MAIL + number, 1);
    });
    this.#ring();
  }

  /** Runs a job on all threads; false where that would not pay, or there is no room for scratch. */
  #run(own: Shared, number: number, kernel: Kernel, args: readonly number[], share: Share): boolean {
    const control = this.#control;
    const slot = this.#slot;
    const { total, least, most } = share;
    if (total < 2 * least || !this.#helpers.some((helper) => this.#lives(helper.number))) return false;
    const { engine } = own;
    const stride = RECORDS_ROOM + Math.ceil((share.scratch?.[1] ?? 0) / 64) * 64;
    const base = engine.spareScratch(this.threads * stride);
    if (base === 0) return false;
    this.#makeKnown(own);
    if (own.words.buffer !== engine.i32.buffer) own.words = engine.i32;
    // Two pieces for each: who is held up leaves one to the others.
    const piece = Math.min(most, Math.max(least, Math.ceil(total / (2 * this.threads))));
    const pieces = Math.ceil(total / piece);
    control[slot + DONE] = 0;
    control[slot + FAILED] = 0;
    control[slot + ENGINE] = own.id;
    control[slot + KERNEL] = number;
    control[slot + PAGES] = engine.bytes / PAGE;
    control[slot + PIECE] = piece;
    control[slot + TOTAL] = total;
    control[slot + COUNT_ARG] = share.count;
    control[slot + SCRATCH_ARG] = share.scratch?.[0] ?? -1;
    control[slot + RESULT] = -1;
    control[slot + RESULT_STEP] = share.result ?? -1;
    control[slot + BASE] = base;
    control[slot + STRIDE] = stride;
    control[slot + ARGS_COUNT] = args.length;
    control[slot + RECORD_ARGS] = share.recordSteps === undefined ? 0 : recordsAmong(args);
    args.forEach((arg, i) => {
      control[slot + ARGS + i] = arg;
      control[slot + STEPS + i] = share.steps[i] ?? 0;
    });
    share.recordSteps?.forEach((step, i) => (control[slot + RECORD_STEPS + i] = step));
    this.#job = (this.#job + 1) & 0xffff;
    Atomics.store(control, slot + TICKET, (this.#job << 16) | pieces);
    this.#ring();
    for (const helper of this.#helpers) {
      // Any message wakes it.
      if (Atomics.load(control, STATES + helper.number) === LISTENING)
        helper.port.postMessage({ kind: "wake" } satisfies ToHelper);
    }
    this.#join(own, kernel, pieces);
    return true;
  }

  /** Does pieces until none is left, and waits for those that others have. */
  #join(own: Shared, kernel: Kernel, pieces: number): void {
    const control = this.#control;
    const slot = this.#slot;
    try {
      for (;;) {
        const ticket = Atomics.load(control, slot + TICKET);
        if ((ticket & LEFT) === 0) break;
        const piece = takePiece(control, slot, ticket);
        if (piece < 0) continue;
        runPiece(kernel, own.words, control, slot, piece, this.#helpers.length);
        Atomics.add(control, slot + DONE, 1);
      }
    } finally {
      // Of a job that failed, what is not begun is left undone; what is begun must end before anything else is done with the memory.
      Atomics.store(control, slot + TICKET, this.#job << 16);
      for (let look = 0; this.#isWaitedFor(); look++) {
        const wake = Atomics.load(control, slot + WAKE);
        if (look > LOOKS && this.#isWaitedFor()) Atomics.wait(control, slot + WAKE, wake);
      }
    }
    if (Atomics.load(control, slot + FAILED) !== 0)
      throw new CellistError("ERR_MEMORY", "a kernel gave up in a thread");
    if (Atomics.load(control, slot + DONE) < pieces)
      throw new CellistError(
        "ERR_MEMORY",
        "a thread ended while it worked for this call (it had no memory, or was stopped): the index is what it was; call again",
      );
  }

  /** Whether a helper that lives has a piece. */
  #isWaitedFor(): boolean {
    return this.#helpers.some(
      ({ number }) => Atomics.load(this.#control, this.#slot + BUSY + number) !== 0 && this.#lives(number),
    );
  }

  #lives(helper: number): boolean {
    return Atomics.load(this.#control, STATES + helper) !== GONE;
  }
}

/** Runs a job on this thread, with the scratch of the call: more rows than a kernel takes at once are cut all the same. */
function runAlone(kernel: Kernel, args: readonly number[], share: Share, words: Int32Array): number | undefined {
  const { total, most, count, steps, recordSteps, result } = share;
  let least = Infinity;
  for (let first = 0; first < total; first += most) {
    const own = args.map((arg, i) => arg + first * (steps[i] ?? 0));
    if (count >= 0) own[count] = Math.min(most, total - first);
    if (recordSteps !== undefined) turnTo(words, 0, first === 0 ? 0 : most, Math.min(most, total - first), recordSteps);
    const place = kernel(...own) as number;
    if (result !== undefined && place >= 0) least = Math.min(least, place + first * result);
  }
  if (result === undefined) return undefined;
  return least === Infinity ? -1 : least;
}
