// Math.log and Math.exp differ between engines in the last bit; additions and products don't, and where they decide a byte these serve.

/** The natural logarithm of a number above 0. */
export function logarithm(x: number): number {
  let doublings = 0;
  for (; x >= 2; x /= 2) doublings++;
  for (; x < 1; x *= 2) doublings--;
  // ln x = 2 artanh((x - 1) / (x + 1)), and ln 2 is that of 1 / 3.
  return doublings * 2 * inverseTangent(1 / 3) + 2 * inverseTangent((x - 1) / (x + 1));
}

/** The inverse hyperbolic tangent of a number from 0 to 1/3. */
function inverseTangent(x: number): number {
  let sum = 0;
  for (let i = 41; i > 0; i -= 2) sum = sum * x * x + 1 / i;
  return sum * x;
}

/** e to the power of a number of at most 0. */
export function exponential(x: number): number {
  const squarings = 10;
  const small = x / 2 ** squarings;
  let sum = 1;
  for (let i = 18; i > 0; i--) sum = 1 + (sum * small) / i;
  for (let i = 0; i < squarings; i++) sum *= sum;
  return sum;
}
