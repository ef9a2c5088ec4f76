#!/usr/bin/env bash
# node-web-audio-api brings sound to another rate without a filter: what the new rate can't hold is heard as other tones.
#
# Version: node-web-audio-api 2.2.0 (npm, native), Node 20 and later.
# Behaviour: a context of 16 kHz holds nothing above 8 kHz. Given a tone of 10 kHz at 48 kHz it should have silence. decodeAudioData of such a
#   .wav file keeps .71 of the loudness that a tone of 1 kHz has, and an AudioBufferSourceNode playing an AudioBuffer of 48 kHz all of it:
#   both are a tone of 6 kHz now.
# Why it matters: features of speech are made at 16 kHz and recordings are of 44.1 or 48. Made in Node by the code of a page they get hiss folded
#   over the voice, and an index that was built of them is off from what a browser will ask it. Decode at the file's own rate, and
#   resample by a library that filters.
# Output: decoded 0.71 of it at 6 kHz, played 1.00 of it at 6 kHz
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error node-web-audio-api@2.2.0 wavefile@11.0.0 >/dev/null
cat >run.mjs <<'JS'
import { OfflineAudioContext } from "node-web-audio-api";
import wavefile from "wavefile";

const [FILE, CONTEXT] = [48_000, 16_000];
const tone = (hertz) => Float32Array.from({ length: FILE }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / FILE));
const context = () => new OfflineAudioContext(1, CONTEXT, CONTEXT);

async function decoded(sound) {
  const file = new wavefile.WaveFile();
  file.fromScratch(1, FILE, "32f", sound);
  return (await context().decodeAudioData(file.toBuffer().slice().buffer)).getChannelData(0);
}
async function played(sound) {
  const at = context();
  const buffer = at.createBuffer(1, FILE, FILE);
  buffer.copyToChannel(sound, 0);
  const node = at.createBufferSource();
  node.buffer = buffer;
  node.connect(at.destination);
  node.start();
  return (await at.startRendering()).getChannelData(0);
}
/** How much of a tone there is, between the ends. */
function loudness(sound, hertz) {
  let [re, im] = [0, 0];
  for (let i = 1600; i < 14_400; i++) {
    re += sound[i] * Math.cos((2 * Math.PI * hertz * i) / CONTEXT);
    im += sound[i] * Math.sin((2 * Math.PI * hertz * i) / CONTEXT);
  }
  return Math.hypot(re, im);
}
const share = async (way) => (loudness(await way(tone(10_000)), 6000) / loudness(await way(tone(1000)), 1000)).toFixed(2);
console.log(`decoded ${await share(decoded)} of it at 6 kHz, played ${await share(played)} of it at 6 kHz`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "decoded 0.71 of it at 6 kHz, played 1.00 of it at 6 kHz" ]
