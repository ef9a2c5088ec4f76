import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Where Debian has them. */
export const CHROMIUM = "/usr/bin/chromium";
export const FIREFOX = "/usr/bin/firefox-esr";

/** A package is installed within this, in ms, or the line to where it is does not answer. */
const PATIENCE = 300_000;

/** How Chromium runs without a screen, as root, and without calling home. */
export const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Installs programs that are missing, as packages of Debian that are called as they are. */
export function installDebian(...names) {
  const missing = names.filter((name) => !existsSync(`/usr/bin/${name}`));
  if (missing.length === 0) return;
  const sudo = process.getuid() === 0 ? [] : ["sudo", "-n"];
  const apt = (...args) => {
    const [command, ...rest] = [...sudo, "apt-get", "-qq", ...args];
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    execFileSync(command, rest, { env, stdio: "pipe", timeout: PATIENCE, killSignal: "SIGKILL" });
  };
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...missing);
}
