import type { Session } from '@openai/agents';
import type { Entry, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { after, isThenable, together } from '../maybe-promise.ts';
import { invalidOption } from '../options.ts';
import { withParts } from '../protocol/sealed-record.ts';
import { countRedacted } from '../protocol/work.ts';
import { parseRedactionOptions, requirePseudonyms, type RedactionOptions } from '../redaction/options.ts';
import type { RedactedItem, RedactionFinding, UnsearchedText } from '../redaction/redacted-item.ts';
import { createRedactionEngine } from '../redaction/redactor.ts';
import { createSessionVaults } from '../redaction/session-vaults.ts';
import { mapInSlices } from '../slices.ts';

/** The finds of one call of a session: entities, counts and locations, never values. */
export interface RedactionReport {
  readonly sessionId: string;
  /** Whether items were on their way to the store or back. */
  readonly when: 'write' | 'read';
  /** How many items were searched. */
  readonly itemCount: number;
  /** How often each entity was found. */
  readonly counts: Readonly<Record<string, number>>;
  /** Each find, with the position of its item in the call. */
  readonly findings: readonly (RedactionFinding & { readonly item: number })[];
  /** The texts that were not searched, and why, with the position of their item in the call. */
  readonly unsearched: readonly (UnsearchedText & { readonly item: number })[];
}

/** How the layers that `redact()` made open the vault of a session. */
export const vaultOpeners: WeakMap<SessionLayer, NonNullable<RedactOptions['vault']>> = new WeakMap();

/** Options of {@link redact}. */
export interface RedactOptions extends RedactionOptions {
  /**
   * On the way to the store (default), on the way back, or both. `'write'` protects the store and every later run,
   * not the model call of the run that adds the text; `'read'` does not change the store.
   */
  readonly when?: 'write' | 'read' | 'both';
  /**
   * Where the values of the tokens of the operator `pseudonymize` are kept: a session, or a function that returns
   * one for the id of the session that is written (`wrapStore`). It is cleared when the session is cleared or
   * deleted. Over a session that chooses its history by the run context give each history a vault of its own, by
   * `call.runContext`.
   */
  readonly vault?: Session | ((sessionId: string, call: SessionCall) => Session);
  /** Called after each call in which something was redacted or not searched. Its errors are ignored. */
  readonly onRedaction?: (report: RedactionReport) => void | Promise<void>;
}

/**
 * Redacts personal data and secrets in every text of every item: messages, tool arguments and results, reasoning,
 * and unknown item types. JSON text stays valid JSON, ids do not change, and redaction is idempotent. Stands above
 * `encrypt()`; several in one stack are fine.
 *
 * It cannot reach images, audio and files, encrypted reasoning and compaction items, tool definitions, and the code
 * of `program` items, which is bound to its fingerprint.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for invalid options.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { redact, wrapSession } from 'strongroom';
 *
 * export const session = wrapSession(new MemorySession(), [
 *   redact({ operators: { CREDIT_CARD: { type: 'mask', keepLast: 4 } } }),
 * ]);
 * ```
 */
export function redact(options: RedactOptions = {}): SessionLayer {
  const settings = parseRedactionOptions('redact', options, ['when', 'onRedaction', 'vault']);
  const { when = 'write', onRedaction } = options;
  if (when !== 'write' && when !== 'read' && when !== 'both') {
    invalidOption('redact', 'when', "'write', 'read' or 'both'", when);
  }
  if (onRedaction !== undefined && typeof onRedaction !== 'function') {
    invalidOption('redact', 'onRedaction', 'a function', onRedaction);
  }
  const engine = createRedactionEngine(settings);
  const vaults = options.vault === undefined ? undefined : createSessionVaults(options.vault);
  if (vaults !== undefined) {
    requirePseudonyms('redact', settings);
    if (when === 'read') {
      invalidOption(
        'redact',
        'vault',
        "absent with when: 'read', because only a write stores the values of tokens",
        options.vault,
      );
    }
  }

  const tell = (when: 'write' | 'read', redacted: readonly RedactedItem[], call: SessionCall): void => {
    for (const { findings } of redacted) {
      if (findings.length > 0)
        countRedacted(
          call,
          findings.map(({ entityType }) => entityType),
        );
    }
    if (onRedaction === undefined) return;
    const findings = redacted.flatMap((result, item) =>
      result.findings.map((finding) => ({ ...finding, item })),
    );
    const unsearched = redacted.flatMap((result, item) =>
      result.unsearched.map((text) => ({ ...text, item })),
    );
    if (findings.length === 0 && unsearched.length === 0) return;
    report(onRedaction, {
      sessionId: call.sessionId,
      when,
      itemCount: redacted.length,
      counts: countByEntity(findings),
      findings,
      unsearched,
    });
  };

  const redactEntries = (
    when: 'write' | 'read',
    entries: readonly Entry[],
    call: SessionCall,
  ): MaybePromise<readonly Entry[]> =>
    after(
      after(
        mapInSlices(
          entries,
          (entry) => {
            const redacted = engine.redactItem(entry.item, when === 'write');
            // It can reject before the others have begun; its error is handled later.
            if (isThenable(redacted)) redacted.catch(() => undefined);
            return redacted;
          },
          1,
        ),
        together,
      ),
      (redacted) => {
        if (when === 'write') vaults?.note(redacted, call);
        tell(when, redacted, call);
        return entries.map((entry, index) => {
          const { item } = redacted[index] as RedactedItem;
          return item === entry.item ? entry : { ...entry, item };
        });
      },
    );

  const layer = withParts({
    name: 'redact',
    ...(when === 'read' ? undefined : { write: (entries, call) => redactEntries('write', entries, call) }),
    ...(when === 'write'
      ? undefined
      : { reads: 'view' as const, read: (entries, call) => redactEntries('read', entries, call) }),
    compare: (item) => engine.compare(item),
    ...(vaults === undefined
      ? undefined
      : {
          settled: async (entries, call) => {
            if (when !== 'read') await vaults.settled(entries, call);
          },
          around: async (call, next) => vaults.around(call, next),
        }),
  });
  if (options.vault !== undefined) vaultOpeners.set(layer, options.vault);
  return layer;
}

/** A report must never fail a call that has done its work. */
function report(onRedaction: NonNullable<RedactOptions['onRedaction']>, event: RedactionReport): void {
  try {
    Promise.resolve(onRedaction(event)).catch(() => undefined);
  } catch {
    // the same for what it throws at once
  }
}

function countByEntity(findings: readonly RedactionFinding[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { entityType } of findings) counts[entityType] = (counts[entityType] ?? 0) + 1;
  return counts;
}
