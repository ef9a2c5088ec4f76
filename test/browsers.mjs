import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Where Debian has them. */
export const CHROMIUM = "/usr/bin/chromium";
export const FIREFOX = "/usr/bin/firefox-esr";

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
    execFileSync(command, rest, { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, stdio: "pipe" });
  };
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...missing);
}
