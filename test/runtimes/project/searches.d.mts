/** FNV-1a over an array's bytes, as eight hexadecimal digits. */
export function checksum(array: ArrayBufferView): string;
