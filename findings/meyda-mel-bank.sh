#!/usr/bin/env bash
# Meyda's MFCCs depend on what was asked before: its mel filters stay those of the first sample rate and buffer size.
#
# Version: meyda 5.6.3 (npm), Node 20 and later.
# Behaviour: the MFCC of one tone in 512 samples at 16 kHz begins with 32.03 14.82. After one call at 44.1 kHz the same call gives 32.03 3.90,
#   after one with 1024 samples 30.69 25.09, whatever Meyda.sampleRate and Meyda.bufferSize are set to before it. A longer buffer after
#   a shorter one gives NaN throughout, for the filters end too early. The source means to make new filters when the buffer's length
#   changes and compares it with a table that it has renewed a line before; the sample rate isn't compared at all.
# Why it matters: features of a recording at 44.1 kHz and of one at 16 kHz, made in one process, are not of one kind, and which of them is
#   wrong depends on the order of the files. Setting Meyda.melFilterBank to undefined before a change of either makes them right.
# Output: alone 32.03 14.82, after 44.1 kHz 32.03 3.90, after 1024 samples 30.69 25.09, after 256 NaN NaN, reset 32.03 14.82
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error meyda@5.6.3 >/dev/null
cat >run.cjs <<'JS'
const meyda = require("meyda");

// A new process for each sequence of calls: the last one's answer is what is shown.
const mfcc = (sampleRate, bufferSize) => {
  Object.assign(meyda, { sampleRate, bufferSize });
  const tone = Float32Array.from({ length: bufferSize }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 1000 * i) / sampleRate));
  return meyda.extract("mfcc", tone);
};
const calls = process.argv.slice(2);
for (const call of calls.slice(0, -1)) {
  if (call === "reset") meyda.melFilterBank = undefined;
  else mfcc(...call.split("/").map(Number));
}
const last = mfcc(...calls.at(-1).split("/").map(Number));
console.log(last.slice(0, 2).map((x) => x.toFixed(2)).join(" "));
JS
alone="$(node run.cjs 16000/512)"
rate="$(node run.cjs 44100/512 16000/512)"
longer="$(node run.cjs 16000/1024 16000/512)"
shorter="$(node run.cjs 16000/256 16000/512)"
reset="$(node run.cjs 44100/512 reset 16000/512)"
seen="alone $alone, after 44.1 kHz $rate, after 1024 samples $longer, after 256 $shorter, reset $reset"
echo "$seen"
[ "$seen" = "alone 32.03 14.82, after 44.1 kHz 32.03 3.90, after 1024 samples 30.69 25.09, after 256 NaN NaN, reset 32.03 14.82" ]
