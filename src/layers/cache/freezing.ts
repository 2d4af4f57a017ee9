/** Freezes plain data deeply. `false` for data with bytes, which cannot be frozen: it is not changed. */
export function freezeAll(value: unknown): boolean {
  if (holdsBytes(value)) return false;
  deepFreeze(value);
  return true;
}

function holdsBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return ArrayBuffer.isView(value) || Object.values(value).some(holdsBytes);
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  Object.freeze(value);
  for (const child of Object.values(value)) deepFreeze(child);
}
