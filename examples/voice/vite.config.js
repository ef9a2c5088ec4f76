import { defineConfig } from "vite";

// Memory that the worklet and the worker share: a page must be isolated from others for it.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  base: "./",
  server: { headers },
  preview: { headers },
  worker: { format: "es" },
  // It finds its .wasm beside itself: in the development server it must stay where it is.
  optimizeDeps: { exclude: ["onnxruntime-web", "cellist"] },
});
