import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  // assembly/ is AssemblyScript, which asc checks; the rest is generated or data.
  globalIgnores(["assembly/*.ts", "build/", "dist/", "bench/speech/", "test/golden/", "src/wasm/kernels.gen.ts"]),
  // A rule that is wrong is changed here, for all to see, not switched off where it hurts.
  { linterOptions: { noInlineConfig: true } },
  js.configs.recommended,
  {
    files: ["**/*.mjs"],
    languageOptions: { globals: { Buffer: "readonly", console: "readonly", process: "readonly", URL: "readonly" } },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: ["tsconfig.json", "test/tsconfig.json"] } },
    rules: {
      // A number in a message is what a message is for.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
);
