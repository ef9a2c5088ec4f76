/** How many times smaller each size is. */
const RATIOS = { quarter: 4, eighth: 8, sixteenth: 16 };

/** RVC's way to name a file tells its nprobe. */
export function nameOf({ name, nlist }, { size, nprobe }) {
  const base = name.replace(/\.(index|faiss|ivf|voice)$/i, "");
  const told =
    nlist === undefined
      ? base
      : /_nprobe_\d+/.test(base)
        ? base.replace(/_nprobe_\d+/, `_nprobe_${nprobe}`)
        : `${base}_nprobe_${nprobe}`;
  if (size === "full") return `${told}${/\.voice$/i.test(name) ? ".voice" : ".index"}`;
  return `${told}_${size}${size === "half" ? ".index" : ".voice"}`;
}

/**
 * The words for a shell that make the chosen file of the one that was dropped, and measure it. A voice that was built here is on no disk
 * before it is saved, as it was chosen.
 */
export function forShell(card, choice, today) {
  const { name, nlist, nprobe } = card;
  const [from, to] = [name, nameOf(card, choice)].map(quoted);
  const line = (...words) => `npx cellist ${words.join(" ")}`;
  if (card.built) return line("measure", to);
  if (choice === today) return line("measure", from);
  const lists = nlist === undefined ? "" : `IVF${nlist},`;
  const make = {
    full: () => line("set", from, `nprobe=${choice.nprobe}`, "--out", to),
    half: () => line("convert", from, "--to", `${lists}SQfp16`, "--out", to),
  }[choice.size];
  const lines = [make?.() ?? line("shrink", from, "--ratio", RATIOS[choice.size], "--out", to)];
  if (choice.size === "full") return [...lines, line("measure", to)].join("\n");
  if (nlist !== undefined && choice.nprobe !== nprobe) lines.push(line("set", to, `nprobe=${choice.nprobe}`));
  return [...lines, line("measure", to, "--truth", from)].join("\n");
}

/** A name as a word for a shell, whatever is in it. */
function quoted(name) {
  const path = name.startsWith("-") ? `./${name}` : name;
  if (/^[\w./-]+$/.test(path)) return path;
  return /["$`\\!]/.test(path) ? `'${path.replaceAll("'", "'\\''")}'` : `"${path}"`;
}

/** The lines that use the chosen file in a page that Vite builds. */
export function forVite(name, { d }, { nprobe }) {
  const [read, imports] = name.endsWith(".index")
    ? ["readIndex", 'import { readIndex } from "cellist";\nimport { blend } from "cellist/rvc";']
    : ["readVoice", 'import { blend, readVoice } from "cellist/rvc";'];
  return `${imports}
import address from ${JSON.stringify(`./${name}?url`)};

const voice = await ${read}(await fetch(address));
voice.warmUp({ batch: 16, k: 8, nprobe: ${nprobe} });

/** 16 frames of ${d} numbers, in place. */
export function towardsVoice(features) {
  return blend(voice, features, { k: 8, rate: 0.75, nprobe: ${nprobe} });
}`;
}
