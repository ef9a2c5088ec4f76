// A model in the ONNX format, written by hand: [1, 1, samples] of sound at 16 kHz -> [1, frames, d] features, 50 frames a second, as
// ContentVec has them. It stands in for that one: d windowed waves, each at a pitch of its own, whose loudness is a feature.

const [KERNEL, HOP, SAMPLE_RATE] = [400, 320, 16_000];
/** ONNX' numbers for the types of elements and of attributes (onnx.proto). */
const [FLOAT, INTS] = [1, 7];

export function makeModel(d) {
  const waves = Float32Array.from({ length: d * KERNEL }, (_, i) => {
    const [channel, t] = [Math.floor(i / KERNEL), i % KERNEL];
    const pitch = 60 * (4000 / 60) ** (channel / d); // 60 Hz to 4 kHz
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * t) / KERNEL);
    return (window * Math.cos((2 * Math.PI * pitch * t) / SAMPLE_RATE)) / 40;
  });
  const initializer = [...[d, 1, KERNEL].map((n) => number(1, n)), number(2, FLOAT), text(8, "waves")];
  const graph = [
    node("Conv", ["sound", "waves"], "turned", [ints("strides", [HOP])]),
    node("Abs", ["turned"], "loud"),
    node("Transpose", ["loud"], "features", [ints("perm", [0, 2, 1])]),
    text(2, "stand-in"),
    part(5, initializer.concat(bytes(9, new Uint8Array(waves.buffer)))),
    part(11, [text(1, "sound"), shape([1, 1, "samples"])]),
    part(12, [text(1, "features"), shape([1, "frames", d])]),
  ];
  return Buffer.concat([number(1, 8), part(7, graph), part(8, [number(2, 13)])]); // ir_version, graph, opset
}

function node(operator, inputs, output, attributes = []) {
  return part(1, [...inputs.map((name) => text(1, name)), text(2, output), text(4, operator), ...attributes]);
}

function ints(name, values) {
  return part(5, [text(1, name), ...values.map((value) => number(8, value)), number(20, INTS)]);
}

function shape(sizes) {
  const dims = sizes.map((size) => part(1, [typeof size === "number" ? number(1, size) : text(2, size)]));
  return part(2, [part(1, [number(1, FLOAT), part(2, dims)])]);
}

// Protocol buffers: a field is its number and kind, then a number or so many bytes.
function number(field, value) {
  return Buffer.from([...varint(field << 3), ...varint(value)]);
}
function bytes(field, value) {
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
}
function text(field, value) {
  return bytes(field, Buffer.from(value));
}
function part(field, parts) {
  return bytes(field, Buffer.concat(parts));
}
function varint(value) {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
