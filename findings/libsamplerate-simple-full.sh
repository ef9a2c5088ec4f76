#!/usr/bin/env bash
# One call of libsamplerate-js's simple() silences its full(), and the next long recording comes back a tenth of a second long.
#
# Version: @alexanderolsen/libsamplerate-js 2.1.2 (npm, wasm), Node 20 and later.
# Behaviour: one converter of 48 to 16 kHz with a sinc filter is used for three recordings of 10, 30 and 10 seconds by simple(). They come back as
#   160,000, 1,600 and 160,000 samples. What has more than 4 MB (22 seconds) goes through full() in blocks inside, and simple() leaves the mark
#   that the input is at its end, which full() shares: it gives out its first block and then nothing. A live stream by full() on a
#   converter that once was asked by simple() gives 1600, 0, 0. Made anew for each recording, the converter gives 479,857 of the 480,000 samples:
#   in blocks nothing ever says that the input has ended, and the last 9 ms stay in the filter. Linear interpolation loses nothing.
# Why it matters: voices are brought to 16 kHz by one converter in a loop over files, and all are whole until one is longer than 22 seconds.
#   Count what comes back; make a converter for each file (setting outputSampleRate does not do it) and put silence after its end.
# Output: 160000 1600 160000; stream 1600 0 0; anew 479857
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error @alexanderolsen/libsamplerate-js@2.1.2 >/dev/null
cat >run.mjs <<'JS'
import library from "@alexanderolsen/libsamplerate-js";

const make = () => library.create(1, 48000, 16000, { converterType: library.ConverterType.SRC_SINC_BEST_QUALITY });
const sound = (seconds) => Float32Array.from({ length: seconds * 48000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 48000));
const one = await make();
const lengths = [10, 30, 10].map((seconds) => one.simple(sound(seconds)).length);
const live = await make();
live.simple(sound(0.1));
const stream = [0, 1, 2].map(() => live.full(sound(0.1)).length);
console.log(`${lengths.join(" ")}; stream ${stream.join(" ")}; anew ${(await make()).simple(sound(30)).length}`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "160000 1600 160000; stream 1600 0 0; anew 479857" ]
