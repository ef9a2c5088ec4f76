/** The number that 16 bits stand for: a sign, 5 bits of exponent, 10 of fraction (IEEE 754, binary16). */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  // Both are exact: integers below 2^30, halved a whole number of times. 2^-24 and 2^-25 are written as quotients, no power decides a bit.
  return exponent === 0
    ? (sign * fraction) / 0x1000000
    : (sign * (fraction + 1024) * (1 << (exponent - 1))) / 0x1000000;
}
