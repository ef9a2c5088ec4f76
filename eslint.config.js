import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** The rooms of src/, from the ground up: what stands higher may be imported by none below it. */
const ROOMS = [
  ["work", "wasm", "ring"],
  ["threads"],
  ["format", "lists", "bounds", "training"],
  ["quantizers"],
  ["codes"],
  ["indexes"],
  ["graph", "transforms"],
  ["handle"],
  ["faiss"],
  ["factory"],
  ["more"],
  ["codec"],
  ["rvc"],
  ["remote"],
  ["worker"],
  ["cli"],
];

/** Imports point down. What an index is called (indexes/tree.ts) imports nothing and is everybody's. */
const downwards = ROOMS.slice(0, -1).map((rooms, level) => ({
  files: rooms.map((room) => `src/${room}/**/*.ts`),
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          {
            group: ROOMS.slice(level + 1)
              .flat()
              .map((room) => `**/${room}/*`)
              .concat("!**/indexes/tree.js"),
            message: "Imports point down: see CONTRIBUTING.md for the rooms.",
          },
        ],
      },
    ],
  },
}));

export default defineConfig(
  // assembly/ is AssemblyScript, which asc checks, examples/deno is Deno's; the rest is generated or data.
  globalIgnores([
    "assembly/**/*.ts",
    "examples/deno/",
    "build/",
    "dist/",
    "bench/speech/",
    "test/golden/",
    "src/*/*.gen.ts",
  ]),
  // A rule that is wrong is tuned here, with its reason, not switched off where it hurts.
  { linterOptions: { noInlineConfig: true } },
  js.configs.recommended,
  {
    // These run in Node: what it has is defined.
    files: ["**/*.mjs"],
    languageOptions: {
      globals: Object.fromEntries(Object.getOwnPropertyNames(globalThis).map((name) => [name, false])),
    },
  },
  {
    // Pages, workers, worklets, and one module in CommonJS.
    files: ["test/runtimes/**"],
    languageOptions: {
      globals: Object.fromEntries(
        ["window", "self", "location", "Worker", "OfflineAudioContext", "AudioWorkletNode", "AudioWorkletProcessor"]
          .concat("registerProcessor", "require", "__dirname", "console", "fetch")
          .map((name) => [name, false]),
      ),
    },
  },
  {
    // Pages, their workers and worklets; their tests run parts of themselves in it.
    files: ["examples/{page,remote,voice}/**/*.js", "test/page/**", "test/runtimes/examples.mjs"],
    languageOptions: {
      globals: Object.fromEntries(
        ["window", "self", "document", "navigator", "location", "Worker", "AudioContext", "OfflineAudioContext"]
          .concat(
            "AudioWorkletNode",
            "AudioWorkletProcessor",
            "AudioBufferSourceNode",
            "OscillatorNode",
            "GainNode",
            "registerProcessor",
            "sampleRate",
          )
          .concat("ResizeObserver", "matchMedia", "HTMLAnchorElement", "DataTransfer", "File", "Buffer")
          .concat(Object.getOwnPropertyNames(globalThis).filter((name) => name !== "process"))
          .map((name) => [name, false]),
      ),
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: ["tsconfig.json", "test/tsconfig.json"] } },
    rules: {
      // Callers in plain JavaScript give what no type allows, and an element read out of bounds is typed as if it were there.
      "@typescript-eslint/no-unnecessary-condition": "off",
      // `async` without `await` is how a function that promises rejects where it would throw.
      "@typescript-eslint/require-await": "off",
      // `() => f()` passes a call on, whether or not it returns something.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // A default method names what an override is given.
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      // Messages say numbers.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    // The library prints nothing and runs in an AudioWorklet, which has none of these.
    files: ["src/**/*.ts"],
    ignores: ["src/cli/**"],
    rules: {
      "no-console": "error",
      "no-restricted-globals": ["error", "Buffer", "process", "TextDecoder", "TextEncoder", "atob", "btoa", "fetch"],
    },
  },
  {
    // The rule looks for Symbol.asyncDispose by a name that a mapped type does not give it; the compilers of this test know better.
    files: ["test/runtimes/types/*.ts"],
    rules: { "@typescript-eslint/await-thenable": "off" },
  },
  ...downwards,
);
