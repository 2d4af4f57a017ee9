import { toBase64url } from '../../crypto/encoding.ts';
import { StrongroomError } from '../../errors.ts';
import type { Header, SessionCall } from '../../layer.ts';
import { warn } from '../../warning.ts';

/** What is wrong with the order of a session's records. */
export interface IntegrityFinding {
  /**
   * `duplicate`: a record is there twice. `reorder`: a writer's records stand in another order than he wrote them.
   * `gap`: one of them is missing between two others.
   */
  readonly kind: 'duplicate' | 'reorder' | 'gap';
  readonly sessionId: string;
  /** Position in the records of this read, 0 for the oldest. */
  readonly index: number;
}

/** Header field: an id of the writer (6 random bytes in base64url), a point, and the number of the record. */
export const SEQUENCE_FIELD = 'x-q';
const SEQUENCE = /^([\w-]{8})\.(\d{1,15})$/;

interface Chain {
  readonly writer: string;
  next: number;
}

/** Numbers for what a stack writes, one chain a session for as long as this process only appends. */
export interface SequenceWriter {
  /** The next number for the session of this call. */
  next(call: SessionCall): string;
  /** What follows begins a new chain: something else than an acknowledged append happened. */
  restart(call: SessionCall): void;
}

export function createSequenceWriter(): SequenceWriter {
  // By stack and not by layer: two wrappers that share a layer do not wait for each other.
  const stacks = new WeakMap<object, Map<string, Chain>>();
  const chainsOf = (call: SessionCall): Map<string, Chain> => {
    let chains = stacks.get(call.layers);
    if (chains === undefined) stacks.set(call.layers, (chains = new Map()));
    return chains;
  };
  return {
    next(call) {
      const chains = chainsOf(call);
      let chain = chains.get(call.sessionId);
      if (chain === undefined) {
        const writer = toBase64url(globalThis.crypto.getRandomValues(new Uint8Array(6)));
        chains.set(call.sessionId, (chain = { writer, next: 0 }));
      }
      return `${chain.writer}.${chain.next++}`;
    },
    restart(call) {
      chainsOf(call).delete(call.sessionId);
    },
  };
}

/**
 * Compares each writer's records with each other and with nobody else's: concurrent writers may stand in any order.
 *
 * @param headers Of the records of one read, in their order; `undefined` for records without one.
 */
export function sequenceFindings(
  headers: readonly (Header | undefined)[],
  sessionId: string,
): IntegrityFinding[] {
  const findings: IntegrityFinding[] = [];
  const last = new Map<string, number>();
  const seen = new Set<string>();
  headers.forEach((header, index) => {
    const field = header?.[SEQUENCE_FIELD];
    const match = typeof field === 'string' ? SEQUENCE.exec(field) : null;
    if (match === null) return;
    const [name, writer, digits] = match as unknown as [string, string, string];
    const number = Number(digits);
    const before = last.get(writer);
    if (seen.has(name)) findings.push({ kind: 'duplicate', sessionId, index });
    else if (before !== undefined && number < before) findings.push({ kind: 'reorder', sessionId, index });
    else if (before !== undefined && number > before + 1) findings.push({ kind: 'gap', sessionId, index });
    seen.add(name);
    last.set(writer, Math.max(before ?? 0, number));
  });
  return findings;
}

const MEANING = { duplicate: 'repeated', reorder: 'put in another order', gap: 'removed' } as const;

/**
 * Judges each read: by default duplicates and another order throw, and the first gap of a session is a process warning.
 *
 * @throws {@link StrongroomError} `ERR_AUTHENTICATION`, from what this returns.
 */
export function createSequenceReport(
  onIntegrity: ((finding: IntegrityFinding) => 'throw' | 'ignore') | undefined,
): (headers: readonly (Header | undefined)[], sessionId: string) => void {
  const warned = new Set<string>();
  return (headers, sessionId) => {
    for (const finding of sequenceFindings(headers, sessionId)) {
      const decision = onIntegrity?.(finding) ?? (finding.kind === 'gap' ? 'warn' : 'throw');
      const where = `Record ${finding.index + 1} of ${headers.length} of session ${JSON.stringify(sessionId)}`;
      if (decision === 'warn') {
        if (warned.has(sessionId)) continue;
        warned.add(sessionId);
        warn('STRONGROOM_GAP', `${where}: a record of the same writer is missing before it.`);
      } else if (decision !== 'ignore') {
        throw new StrongroomError(
          'ERR_AUTHENTICATION',
          `${where} is out of sequence (${finding.kind}): records were ${MEANING[finding.kind]}. Treat it as tampering, ` +
            'or decide with onIntegrity.',
        );
      }
    }
  };
}
