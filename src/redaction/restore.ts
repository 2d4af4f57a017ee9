import { jsonLiterals } from './json-text.ts';
import { replaceTokens } from './token.ts';

const DEEPEST_JSON = 8;

/** Whether a text may contain a token: without one no vault is read. */
export function hasTokens(text: string): boolean {
  return /[bcdfghjklmnpqrst]{20}/i.test(text);
}

/** The text with tokens replaced by their known values; JSON text stays JSON text, literal by literal. */
export function restoreTokens(
  text: string,
  valueOf: (token: string) => string | undefined,
  isArguments: boolean,
  depth = 0,
): string {
  const literals = depth < DEEPEST_JSON ? jsonLiterals(text, { path: undefined }, isArguments) : undefined;
  if (literals === undefined) return replaceTokens(text, valueOf);
  const pieces: string[] = [];
  let done = 0;
  for (const literal of literals) {
    if (literal.kind === 'number') continue;
    const restored =
      literal.kind === 'key'
        ? replaceTokens(literal.text, valueOf)
        : restoreTokens(literal.text, valueOf, false, depth + 1);
    if (restored === literal.text) continue;
    pieces.push(text.slice(done, literal.start), JSON.stringify(restored));
    done = literal.end;
  }
  pieces.push(text.slice(done));
  return pieces.join('');
}
