/** What is made when it is first asked for: a process that redacts nothing makes none of it. */
export function late<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/**
 * A pattern that is read when it is first asked for. The engine reads each literal when it loads a file, and reading sets of
 * Unicode (`\p{…}`) took most of the time in which it loaded those of redaction.
 */
export function latePattern(source: string, flags: string): () => RegExp {
  return late(() => new RegExp(source, flags));
}

/** A letter of any script. */
export const LETTER: () => RegExp = latePattern(String.raw`\p{L}`, 'u');
