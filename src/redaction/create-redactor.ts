import type { AgentInputItem, Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { together } from '../maybe-promise.ts';
import { analyzeWhole } from './analyze-whole.ts';
import { parseRedactionOptions, requirePseudonyms, type RedactionOptions } from './options.ts';
import type { RecognizerResult } from './recognizer.ts';
import type { RedactedItem, RedactionFinding, UnsearchedText } from './redacted-item.ts';
import { createRedactionEngine } from './redactor.ts';
import { hasTokens, restoreTokens } from './restore.ts';
import { createVault, parseVault } from './vault.ts';

/** Options of {@link createRedactor}. */
export interface RedactorOptions extends RedactionOptions {
  /**
   * Where the values of tokens of the operator `pseudonymize` are kept: a separate session, in any stack. Give the
   * `redact()` layer of the same conversation the same key and the same vault.
   */
  readonly vault?: Session;
}

/** The redaction of a `redact()` layer by itself: for the model, tools, logs, exports and tests. */
export interface Redactor {
  /** The finds that would be redacted in a text, in order, without overlaps. */
  analyze(text: string): Promise<readonly RecognizerResult[]>;
  /** The text as it would be stored in a message. */
  redactText(text: string): Promise<string>;
  /** The items as they would be stored; the same objects where nothing was found. */
  redactItems(items: readonly AgentInputItem[]): Promise<{
    readonly items: AgentInputItem[];
    readonly findings: readonly RedactionFinding[];
    readonly unsearched: readonly UnsearchedText[];
  }>;
  /**
   * The text with the tokens that were issued into the vault replaced by their values; JSON text stays JSON. A
   * token that was never issued is not changed.
   *
   * @param entities Only tokens of these entities; all when absent.
   * @throws {@link StrongroomError} `ERR_INVALID_OPTION` without a vault.
   */
  restoreText(text: string, entities?: readonly string[]): Promise<string>;
}

/**
 * Makes a {@link Redactor}.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { createRedactor } from 'strongroom/redaction';
 *
 * const redactor = createRedactor({ entities: ['EMAIL_ADDRESS'] });
 * console.log(await redactor.redactText('write to jane@acme.com')); // write to <EMAIL_ADDRESS>
 * ```
 */
export function createRedactor(options: RedactorOptions = {}): Redactor {
  const where = 'createRedactor';
  const settings = parseRedactionOptions(where, options, ['vault']);
  const engine = createRedactionEngine(settings);
  const vault = options.vault === undefined ? undefined : createVault(parseVault(where, options.vault));
  if (vault !== undefined) requirePseudonyms(where, settings);

  const redactAll = async (items: readonly AgentInputItem[]): Promise<readonly RedactedItem[]> => {
    const redacted = await together(items.map((item) => engine.redactItem(item, true)));
    await vault?.issue(new Map(redacted.flatMap((result) => [...result.tokens])));
    return redacted;
  };

  return {
    async analyze(text) {
      const spans = await analyzeWhole(text, (part, context) => engine.analyze(part, context));
      return spans.map(({ entityType, start, end, score, validated }) => ({
        entityType,
        start,
        end,
        score,
        validated,
      }));
    },
    async redactText(text) {
      const [redacted] = await redactAll([{ type: 'message', role: 'user', content: text }]);
      // The item of the line above: a redaction changes texts, never the structure of an item.
      return (redacted as unknown as { item: { content: string } }).item.content;
    },
    async redactItems(items) {
      const redacted = await redactAll(items);
      return {
        items: redacted.map((result) => result.item),
        findings: redacted.flatMap((result) => result.findings),
        unsearched: redacted.flatMap((result) => result.unsearched),
      };
    },
    async restoreText(text, entities) {
      if (vault === undefined) {
        throw new StrongroomError(
          'ERR_INVALID_OPTION',
          `${where}: restoring tokens needs a vault. Give createRedactor() the option vault.`,
        );
      }
      if (!hasTokens(text)) return text;
      const isWanted = (token: string): boolean =>
        entities === undefined ||
        entities.some((entity) => token.startsWith(`<${entity}_`) && isTokenOf(token, entity));
      const wanted = new Set<string>();
      const collect = (token: string): undefined => void (isWanted(token) && wanted.add(token));
      restoreTokens(text, collect, true);
      const values = await vault.find(wanted);
      return restoreTokens(text, (token) => values.get(token), true);
    },
  };
}

/** `<US_SSN_…>` is no token of an entity `US`. */
function isTokenOf(token: string, entity: string): boolean {
  return !token.slice(entity.length + 2, -1).includes('_');
}
