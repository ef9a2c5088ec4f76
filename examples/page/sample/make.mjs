/**
 * Makes voice.flac, sentence.flac and the prompts in sample.json again, from Debian's asterisk-core-sounds-en-g722, by ffmpeg:
 *
 *     node examples/page/sample/make.mjs /usr/share/asterisk/sounds/en_US_f_Allison
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FIRST = "conf-kicked";
const LAST = "confbridge-lock-out";
/** Every tenth prompt is held out, from this one on, in the order of names with those in folders behind. */
const HELD_OUT = 5;
const ROW = 320;
const SPAN = 880;

const [source] = process.argv.slice(2);
if (source === undefined) throw new Error("give the folder with the prompts");
const here = (name) => new URL(name, import.meta.url);
const ffmpeg = (args, input) => execFileSync("ffmpeg", ["-v", "error", ...args], { input, maxBuffer: 1 << 28 });
const decode = (name) => {
  const path = join(source, `${name}.g722`);
  return ffmpeg(["-f", "g722", "-i", path, "-ar", "16000", "-f", "s16le", "-"]);
};
const encode = (samples, name) => {
  const flac = ["-map_metadata", "-1", "-fflags", "+bitexact", "-c:a", "flac", "-compression_level", "12"];
  const pcm = ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-"];
  ffmpeg([...pcm, ...flac, "-exact_rice_parameters", "1", "-y", fileURLToPath(here(name))], samples);
};

const names = readdirSync(source)
  .filter((file) => file.endsWith(".g722"))
  .sort()
  .map((file) => file.slice(0, -5));
const base = names.filter((_, i) => i % 10 !== HELD_OUT);
const parts = [];
const prompts = [];
let rows = 0;
for (const name of base.slice(base.indexOf(FIRST), base.indexOf(LAST) + 1)) {
  const sound = decode(name);
  const samples = sound.length / 2;
  const whole = Math.ceil(samples / ROW);
  prompts.push([name, rows, Math.floor((samples - SPAN) / ROW) + 1]);
  parts.push(sound, Buffer.alloc(whole * ROW * 2 - sound.length));
  rows += whole;
}
encode(Buffer.concat(parts), "voice.flac");
encode(decode("basic-pbx-ivr-main").subarray(156 * ROW * 2, (660 * ROW + 560) * 2), "sentence.flac");
const { means } = JSON.parse(readFileSync(here("sample.json"), "utf8"));
writeFileSync(here("sample.json"), `${JSON.stringify({ prompts, means })}\n`);
