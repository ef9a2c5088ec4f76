import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";

/** What an answer for programs is made of. A bigint becomes a JSON number with all its digits. */
export type Json = string | number | bigint | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A value as JSON, on one line. */
export function toJson(value: Json): string {
  if (typeof value === "bigint") return String(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  const fields = Object.entries(value as Record<string, Json>);
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${toJson(field)}`).join(",")}}`;
}

/** Names and values below each other, the values aligned. */
export function table(fields: Record<string, string>): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
    .join("\n");
}

/** Rows of cells below each other: the first cell of a row to the left, the others to the right of their column. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows
    .map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ")}`)
    .join("\n");
}

/** A whole number for people: 19,312; "none" for null. */
export function whole(value: number | null): string {
  return value === null ? "none" : value.toLocaleString("en-US");
}

/** How many of what: 1 query, 480 queries. */
export function count(n: number, one: string, many: string): string {
  return `${whole(n)} ${n === 1 ? one : many}`;
}

/** A number of bytes for people: 61,005,699 (61 MB). */
export function size(bytes: number): string {
  if (bytes < 1000) return whole(bytes);
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const short = (bytes / 1000 ** power).toLocaleString("en-US", { maximumSignificantDigits: 3 });
  return `${whole(bytes)} (${short} ${["kB", "MB", "GB"][power - 1]})`;
}

/** What a metric is called. */
export function metricName(metric: Metric): string {
  return metric === METRIC_L2 ? "L2" : "inner product";
}
