import { InvalidArgumentError, Option } from "commander";

/** What --nprobe, -k, --out, --force and --json give, on the commands that search. */
export interface SearchFlags {
  k: number;
  nprobe?: number;
  out?: string;
  force?: boolean;
  json?: boolean;
}

/** `-k`: how many neighbours. */
export function kOption(): Option {
  return new Option("-k <number>", "neighbours of each row").default(8).argParser(wholeNumber(1));
}

/** `--nprobe`: how many lists. */
export function nprobeOption(): Option {
  return new Option("--nprobe <number>", "lists to scan for each row (default: as the file says)").argParser(
    wholeNumber(1),
  );
}

/** `--force`: over files that are there. */
export function forceOption(): Option {
  return new Option("--force", "replace a file that is there already, without asking");
}

/** `--seed`: what is drawn. */
export function seedOption(): Option {
  return new Option("--seed <number>", "the same seed gives the same file").default(1234).argParser(wholeNumber(0));
}

/** `--skip-nonfinite`: over rows that no index takes. */
export function skipOption(): Option {
  return new Option("--skip-nonfinite", "leave out rows with NaN or infinity, and say how many");
}

/** `--json`: for programs. */
export function jsonOption(): Option {
  return new Option("--json", "print one JSON object, for programs");
}

/** A parser of whole numbers from `least` on; anything else is bad usage. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`Give a whole number from ${least} on.`);
    }
    return value;
  };
}

/** An option that takes whole numbers from 1 on, with commas between them. */
export function wholeNumbers(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => text.split(",").map(wholeNumber(1)));
}

/** Parses a number from 0 to 1; anything else is bad usage. */
export function fraction(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("Give a number from 0 to 1.");
  return value;
}

/** Parses what is going to be a part of a file's name; anything else is bad usage. */
export function namePart(text: string): string {
  if (text.trim() === "" || /[\p{Cc}/\\:*?"<>|]/u.test(text)) {
    throw new InvalidArgumentError("It becomes a part of the file's name: give letters, digits, - and _.");
  }
  return text;
}
