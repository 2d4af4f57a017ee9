import { setOwn } from './item.ts';

/** Bytes up to which extra properties of a byte array are looked for: listing the keys takes 0.2 s for 1 MiB. */
const LISTED_BYTES = 65_536;

/** A copy of plain data. Throws where a copy would lose something: accessors, symbols, hidden properties, classes. */
export function plainCopy(value: unknown): unknown {
  return copySupported(value, new Set());
}

function copySupported(value: unknown, ancestors: Set<object>): unknown {
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint')
    throw unsupported();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return copyBytes(value);
  if (ancestors.has(value)) throw unsupported();
  ancestors.add(value);
  const copy = Array.isArray(value) ? copyList(value, ancestors) : copyRecord(value, ancestors);
  ancestors.delete(value);
  return copy;
}

function copyList(list: readonly unknown[], ancestors: Set<object>): unknown[] {
  const { length } = list;
  // One key for each element and `length`: anything else is a hole, a name or a symbol.
  if (Reflect.ownKeys(list).length !== length + 1) throw unsupported();
  return Array.from({ length }, (_, index) => copySupported(dataOf(list, String(index)), ancestors));
}

function copyRecord(record: object, ancestors: Set<object>): Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(record);
  if (prototype !== Object.prototype && prototype !== null) throw unsupported();
  const copy: Record<string, unknown> = {};
  for (const key of Reflect.ownKeys(record)) {
    setOwn(copy, key as string, copySupported(dataOf(record, key), ancestors));
  }
  return copy;
}

/** The value of an enumerable property that is not an accessor and has a string as its name. */
function dataOf(object: object, key: string | symbol): unknown {
  const descriptor = Object.getOwnPropertyDescriptor(object, key);
  const plain = typeof key === 'string' && descriptor?.enumerable === true && 'value' in descriptor;
  if (!plain) throw unsupported();
  return descriptor.value as unknown;
}

function copyBytes(bytes: Uint8Array): Uint8Array {
  const symbols = Object.getOwnPropertySymbols(bytes);
  const named = bytes.length <= LISTED_BYTES && Reflect.ownKeys(bytes).length > bytes.length;
  if (symbols.length > 0 || named) throw unsupported();
  return new Uint8Array(bytes);
}

function unsupported(): Error {
  return new Error('unsupported');
}
