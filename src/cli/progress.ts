import cliProgress from "cli-progress";
import type { SingleBar } from "cli-progress";
import type { Progress } from "../api.js";

/** Phases that are over sooner get no bar, in ms: it would only flicker. */
const PATIENCE = 300;

/** Whether a terminal takes more than plain lines, as far as those say who use it. */
export function takesControlCodes({ TERM, NO_COLOR = "" }: NodeJS.ProcessEnv): boolean {
  return TERM !== "dumb" && NO_COLOR === "";
}

/** A bar on stderr for the phase that is going on; it disappears with the phase. */
export class Bars {
  readonly #shown: boolean;
  #bar: SingleBar | undefined;
  #phase = "";
  #since = 0;

  /** @param shown whether a person is watching; else nothing is ever printed */
  constructor(shown: boolean) {
    this.#shown = shown;
  }

  /** Shows how far work has come, once it is clear that it takes a while. */
  show({ phase, done, total }: Progress): void {
    if (!this.#shown || !Number.isFinite(total)) return;
    if (phase !== this.#phase) {
      this.clear();
      this.#phase = phase;
      this.#since = Date.now();
    }
    if (done >= total) {
      this.clear();
    } else if (this.#bar !== undefined) {
      this.#bar.update(done);
    } else if (Date.now() - this.#since >= PATIENCE) {
      this.#bar = new cliProgress.SingleBar(
        // The terminal's settings stay as they are (cursor, line wrap), so that there is nothing to restore after a kill.
        {
          format: "{phase}  [{bar}] {percentage} %  {eta_formatted} left",
          barsize: 30,
          clearOnComplete: true,
          linewrap: true,
        },
        cliProgress.Presets.legacy,
      );
      this.#bar.start(total, done, { phase });
    }
  }

  /** Takes the bar away, before something else is printed. */
  clear(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
