import type { MaybePromise } from '../layer.ts';
import { after, together } from '../maybe-promise.ts';
import { jsonLiterals, type JsonLiteral } from './json-text.ts';
import { contextOf, DEEPEST_JSON } from './plan.ts';
import type { TextContext } from './recognizer.ts';
import type { Span } from './spans.ts';

type Analyze = (text: string, context: TextContext) => MaybePromise<readonly Span[]>;

/**
 * The finds in the text of a message as it would be stored: JSON text literal by literal, with its keys. A find in
 * a literal with escapes is the whole literal, because its offsets are those of the unescaped text.
 */
export function analyzeWhole(
  text: string,
  analyze: Analyze,
  at: Parameters<typeof jsonLiterals>[1] = { path: undefined },
  depth = 0,
): MaybePromise<readonly Span[]> {
  const literals = depth < DEEPEST_JSON ? jsonLiterals(text, at, false) : undefined;
  if (literals === undefined) return analyze(text, contextOf('message', at, false));
  const searches = literals.map((literal) => {
    const within =
      literal.kind === 'string'
        ? analyzeWhole(literal.text, analyze, literal, depth + 1)
        : analyze(literal.text, contextOf('message', literal, literal.kind === 'key'));
    return after(within, (spans): readonly Span[] => spans.map((span) => inSource(span, literal)));
  });
  return after(together(searches), (lists) => lists.flat());
}

function inSource(span: Span, { kind, start, end, text }: JsonLiteral): Span {
  const quote = kind === 'number' ? 0 : 1;
  const isPlain = end - start === text.length + 2 * quote;
  return isPlain
    ? { ...span, start: span.start + start + quote, end: span.end + start + quote }
    : { ...span, start: start + quote, end: end - quote };
}
