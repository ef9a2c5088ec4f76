import { fail } from "../errors.js";
import {
  BELL,
  BUSY,
  DONE,
  ENGINE,
  FAILED,
  GONE,
  KERNEL,
  LEFT,
  LISTENING,
  LOOKING,
  MAIL,
  PAGE,
  PAGES,
  STATES,
  takePiece,
  TICKET,
  WAKE,
} from "./control.js";
import { copier, toucher } from "./copier.js";
import { UNABLE } from "./messages.js";
import type { ToHelper } from "./messages.js";
import { runPiece } from "./piece.js";
import type { Kernel } from "./piece.js";
import { KERNELS, TOUCH } from "./shares.js";

/**
 * Looks at the bell before the thread lies down: some 1.5 ms of them in Node 20. To wake one that sleeps takes .1 to .3 ms, now and then 10 (a
 * virtual machine with two cores), as long as several jobs of k-means; so it is awake where one job, or block of queries, follows another.
 */
const LOOKS = 1 << 18;
/** How long it lies there, in ms, before it hears messages again: then it takes one to wake it. */
const LINGER = 50;

/** A memory that the thread works on. */
interface Engine {
  slot: number;
  seat: number;
  memory: WebAssembly.Memory;
  words: Int32Array;
  kernels: Record<string, Kernel | undefined>;
}

/** A thread that helps others' indexes: it hears of their memories, and does the next piece of work on any of them. */
export class Helper {
  readonly #control: Int32Array;
  readonly #number: number;
  readonly #engines = new Map<number, Engine>();
  #slots: readonly number[] = [];
  /** Messages heard, of those that are counted. */
  #heard = 0;

  constructor(control: SharedArrayBuffer, number: number) {
    this.#control = new Int32Array(control);
    this.#number = number;
  }

  /** Hears what the worker of an index says. */
  listen(port: MessagePort): void {
    this.#heard++;
    port.onmessage = ({ data }: MessageEvent<ToHelper>) => {
      if (data.kind !== "wake") this.#heard++;
      try {
        if (data.kind === "help") this.#engines.set(data.id, engineOf(data, this.#engines.get(data.id)));
        else if (data.kind === "source") takeSource(data, this.#engines.get(data.id));
        else if (data.kind === "forget") this.#engines.delete(data.id);
      } catch {
        port.postMessage(UNABLE);
      }
      this.#slots = [...new Set([...this.#engines.values()].map(({ slot }) => slot))];
      this.#look();
    };
    port.onmessageerror = () => {
      this.#heard++;
      port.postMessage(UNABLE);
    };
  }

  /** Does what there is to do, until there is nothing for a while, or a message waits. */
  #look(): void {
    const control = this.#control;
    const state = STATES + this.#number;
    for (let bell = -1; Atomics.load(control, state) !== GONE && bell !== Atomics.load(control, BELL);) {
      Atomics.store(control, state, LOOKING);
      for (;;) {
        bell = Atomics.load(control, BELL);
        let worked = false;
        for (const slot of this.#slots) while (this.#take(slot)) worked = true;
        if (Atomics.load(control, MAIL + this.#number) !== this.#heard) {
          Atomics.store(control, state, LISTENING);
          return;
        }
        if (worked) continue;
        let looks = 0;
        while (looks < LOOKS && Atomics.load(control, BELL) === bell) looks++;
        if (looks === LOOKS && Atomics.wait(control, BELL, bell, LINGER) === "timed-out") break;
      }
      // Whoever rings from here on sees it, and sends a message.
      Atomics.store(control, state, LISTENING);
    }
  }

  /** Does a piece of a slot's job; false where there is none. */
  #take(slot: number): boolean {
    const control = this.#control;
    const busy = slot + BUSY + this.#number;
    const ticket = Atomics.load(control, slot + TICKET);
    if ((ticket & LEFT) === 0) return false;
    const engine = this.#engines.get(Atomics.load(control, slot + ENGINE));
    // Of a module that is on its way, others do the work.
    const number = Atomics.load(control, slot + KERNEL);
    const kernel = engine?.kernels[KERNELS[number] ?? number];
    if (engine === undefined || kernel === undefined) return false;
    // Said before it is done, so that it is known of a thread that ends at any point.
    Atomics.store(control, busy, 1);
    const piece = takePiece(control, slot, ticket);
    if (piece >= 0) {
      try {
        runPiece(kernel, wordsOf(engine, control[slot + PAGES]), control, slot, piece, engine.seat);
      } catch {
        Atomics.store(control, slot + FAILED, 1);
      }
      Atomics.add(control, slot + DONE, 1);
    }
    Atomics.store(control, busy, 0);
    if ((Atomics.load(control, slot + TICKET) & LEFT) === 0) {
      Atomics.add(control, slot + WAKE, 1);
      Atomics.notify(control, slot + WAKE);
    }
    return true;
  }
}

function engineOf({ slot, seat, memory, modules }: ToHelper & { kind: "help" }, known: Engine | undefined): Engine {
  const abort = (): never => fail("ERR_MEMORY", "a kernel gave up");
  const instances = modules.map((module) => new WebAssembly.Instance(module, { env: { memory, abort } }).exports);
  const kernels = Object.assign({ [TOUCH]: toucher(memory) }, known?.kernels, ...instances) as Record<string, Kernel>;
  return { slot, seat, memory, words: new Int32Array(memory.buffer), kernels };
}

function takeSource({ number, floats }: ToHelper & { kind: "source" }, engine: Engine | undefined): void {
  if (engine !== undefined) engine.kernels[number] = floats && copier(floats, engine.memory);
}

/** The words of a memory that has so many pages. Another thread makes it grow, and an engine may not know of that here yet. */
function wordsOf(engine: Engine, pages: number): Int32Array {
  const { memory } = engine;
  if (engine.words.byteLength < pages * PAGE) {
    if (memory.buffer.byteLength < pages * PAGE) memory.grow(0);
    engine.words = new Int32Array(memory.buffer);
    if (engine.words.byteLength < pages * PAGE) throw new Error("the memory has not grown here");
  }
  return engine.words;
}
