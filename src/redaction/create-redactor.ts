import type { AgentInputItem } from '@openai/agents';
import { together } from './maybe.ts';
import { parseRedactionOptions, type RedactionOptions } from './options.ts';
import type { RecognizerResult } from './recognizer.ts';
import { createRedactionEngine, type RedactionFinding } from './redactor.ts';

/** The redaction of a `redact()` layer by itself: for logs, exports, evaluation and tests. */
export interface Redactor {
  /** What would be redacted in a text, in order, without overlaps. */
  analyze(text: string): Promise<readonly RecognizerResult[]>;
  /** The text as it would be stored in a message. */
  redactText(text: string): Promise<string>;
  /** The items as they would be stored; the same objects where nothing was found. */
  redactItems(
    items: readonly AgentInputItem[],
  ): Promise<{ readonly items: AgentInputItem[]; readonly findings: readonly RedactionFinding[] }>;
}

/**
 * Makes a {@link Redactor}.
 *
 * @throws `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { createRedactor } from 'strongroom/redaction';
 *
 * const redactor = createRedactor({ entities: ['EMAIL_ADDRESS'] });
 * console.log(await redactor.redactText('write to jane@acme.com')); // write to <EMAIL_ADDRESS>
 * ```
 */
export function createRedactor(options: RedactionOptions = {}): Redactor {
  const engine = createRedactionEngine(parseRedactionOptions('createRedactor', options));
  return {
    async analyze(text) {
      const spans = await engine.analyze(text, { itemType: 'message', path: '' });
      return spans.map(({ entityType, start, end, score, validated }) => ({
        entityType,
        start,
        end,
        score,
        validated,
      }));
    },
    async redactText(text) {
      const { item } = await engine.redactItem({ type: 'message', role: 'user', content: text }, true);
      return (item as { content: string }).content;
    },
    async redactItems(items) {
      const redacted = await together(items.map((item) => engine.redactItem(item, true)));
      return {
        items: redacted.map((result) => result.item),
        findings: redacted.flatMap((result) => result.findings),
      };
    },
  };
}
