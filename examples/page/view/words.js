const whole = new Intl.NumberFormat("en");

export function count(value) {
  return whole.format(value);
}

export function megabytes(bytes) {
  if (bytes < 1e5) return `${(bytes / 1e3).toFixed(1)} kB`;
  const value = bytes / 1e6;
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : count(Math.round(value))} MB`;
}

export function minutes(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const rest = Math.round(seconds);
  return `${Math.floor(rest / 60)} min ${String(rest % 60).padStart(2, "0")} s`;
}

export function percent(share) {
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

export function milliseconds(ms) {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

/** What people say for a share: the nearest of a few fractions. */
export function fraction(share) {
  const names = [
    [0.1, "One in ten"],
    [0.125, "One in eight"],
    [0.1667, "One in six"],
    [0.2, "One in five"],
    [0.25, "A quarter"],
    [0.333, "A third"],
    [0.4, "Two in five"],
    [0.5, "Half"],
    [0.6, "Three in five"],
    [0.667, "Two thirds"],
    [0.75, "Three quarters"],
    [0.8, "Four in five"],
    [0.9, "Nine in ten"],
    [1, "Nearly all"],
  ];
  if (share === 0) return "None";
  if (share < 0.02) return "Almost none";
  if (share < 0.085) return `One in ${Math.round(1 / share)}`;
  return names.reduce((best, name) => (Math.abs(name[0] - share) < Math.abs(best[0] - share) ? name : best))[1];
}
