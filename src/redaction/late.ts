/** A value that is made at its first use, so that a process without redaction never makes it. */
export function late<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/**
 * A pattern that is compiled at its first use. The engine compiles each literal when it loads a file, and Unicode
 * sets (`\p{…}`) took most of the load time of redaction.
 */
export function latePattern(source: string, flags: string): () => RegExp {
  return late(() => new RegExp(source, flags));
}

/** A letter of any script. */
export const LETTER: () => RegExp = latePattern(String.raw`\p{L}`, 'u');
