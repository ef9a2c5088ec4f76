import { Ring } from "cellist/ring";
import { GRAIN_FIELDS, HOPS_PER_SECOND } from "./timing.js";

/** Sound as it is: what browsers do for calls would take away what is looked up. */
const MICROPHONE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** ms that a sound device may take to start. */
const PATIENCE = 5000;

/**
 * Plays the mosaic of a voice.
 *
 * @param {{ voice: import("../voice.js").Voice, worklet: string, recording?: { samples: Float32Array, rate: number }, options: object, rate: number,
 *   onLevels(levels: { heard: number, played: number, late: number }): void }} way a recording to answer over and over; without one, the
 *   microphone is
 * @returns {Promise<{ shared: boolean, steer(options: object, rate: number): void, stop(): Promise<void> }>}
 */
export async function play({ voice, worklet, recording, options, rate, onLevels }) {
  const stream = recording === undefined ? await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE }) : undefined;
  const context = new AudioContext();
  try {
    // Not from a blob: Chromium refuses that in a page from disk, whose blobs have no origin.
    await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(worklet)}`);
    const node = new AudioWorkletNode(context, "mosaic", {
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: "explicit",
    });
    const { port1, port2 } = new MessageChannel();
    const shared = globalThis.crossOriginIsolated ? rings(context.sampleRate) : undefined;
    node.port.onmessage = ({ data }) => onLevels(data);
    node.port.postMessage({ port: port1, shared, rate }, [port1]);
    await voice.transfer("mosaic", { port: port2, shared, rate: context.sampleRate, options }, [port2]);

    const source =
      stream === undefined ? await loop(context, recording, voice) : context.createMediaStreamSource(stream);
    source.connect(node).connect(context.destination);
    await started(context);
    return {
      shared: shared !== undefined,
      steer(changed, dry) {
        node.port.postMessage({ rate: dry });
        void voice.call("steer", { options: changed });
      },
      async stop() {
        node.port.postMessage({ stop: true });
        release(stream);
        void voice.call("steer", {}).catch(() => undefined);
        await context.close();
      },
    };
  } catch (error) {
    release(stream);
    await context.close();
    throw error;
  }
}

/** Where there is nothing to play on, a browser waits for it without a word. */
function started(context) {
  const late = new Promise((_, reject) => {
    setTimeout(
      reject,
      PATIENCE,
      new Error("the browser found nothing to play it on. Plug in headphones or loudspeakers."),
    );
  });
  return Promise.race([context.resume(), late]);
}

function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** A source at the device's own rate, so that the browser's resampler has nothing to do. */
async function loop(context, { samples, rate }, voice) {
  const { sampleRate } = context;
  const sound = await voice.call("resample", { samples, from: rate, to: sampleRate });
  const buffer = context.createBuffer(1, sound.length, sampleRate);
  buffer.copyToChannel(sound, 0);
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  source.start();
  return source;
}

/** Shared memory for a second each way. */
function rings(sampleRate) {
  return { heard: Ring.memory(sampleRate), grains: Ring.memory(GRAIN_FIELDS * HOPS_PER_SECOND * 4) };
}
