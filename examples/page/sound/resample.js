import SpeexResampler from "@echogarden/speex-resampler-wasm";

/** Speex' own scale goes to 10; 7 has 160 taps at the filter's own rate, and an alias 100 dB down. */
const QUALITY = 7;
/** Samples that cross at a time. */
const CHUNK = 8192;

let wasmBinary;
let speex;

/** Gives the bytes of Speex' resampler, which stand with the sample: nothing else is resampled. */
export function useSpeex(bytes) {
  wasmBinary = bytes;
}

/**
 * Sound at another rate, piece by piece, by Speex' resampler compiled to WebAssembly: browsers' own filters differ from each other,
 * and some let what is too high for the new rate fold down at full strength.
 *
 * @param {number} from samples a second
 * @param {number} to samples a second
 * @returns {Promise<{ push(samples: Float32Array): Float32Array }>} what comes out has no delay but that of its first piece
 */
export async function resampler(from, to) {
  if (from === to) return { push: (samples) => samples };
  speex ??= await SpeexResampler({ wasmBinary, locateFile: (path) => path });
  const room = Math.ceil((CHUNK * to) / from) + 64;
  const [input, output, sizes] = [CHUNK * 4, room * 4, 8].map((bytes) => speex._malloc(bytes));
  const state = speex._speex_resampler_init(1, from, to, QUALITY, sizes);
  if (state === 0) throw new Error(`Sound at ${from} samples a second can't be resampled to ${to}.`);
  speex._speex_resampler_skip_zeros(state);
  return {
    push(samples) {
      const parts = [];
      for (let at = 0; at < samples.length;) {
        const chunk = samples.subarray(at, at + CHUNK);
        speex.HEAPF32.set(chunk, input >>> 2);
        speex.HEAPU32[sizes >>> 2] = chunk.length;
        speex.HEAPU32[(sizes >>> 2) + 1] = room;
        speex._speex_resampler_process_float(state, 0, input, sizes, output, sizes + 4);
        at += speex.HEAPU32[sizes >>> 2];
        parts.push(speex.HEAPF32.slice(output >>> 2, (output >>> 2) + speex.HEAPU32[(sizes >>> 2) + 1]));
      }
      return parts.length === 1 ? parts[0] : joined(parts);
    },
  };
}

/** A whole recording at another rate. */
export async function resampled(samples, from, to) {
  if (from === to) return samples;
  const filter = await resampler(from, to);
  const length = Math.round((samples.length * to) / from);
  // Silence pushes the end out of the filter.
  const out = joined([filter.push(samples), filter.push(new Float32Array(Math.ceil(from / 50)))]);
  return out.slice(0, length);
}

export function joined(parts) {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
