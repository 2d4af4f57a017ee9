import type { Session } from '@openai/agents';
import { fromBase64url, fromUtf8 } from '../crypto/encoding.ts';
import { defined } from '../defined.ts';
import { isStrongroomError } from '../errors.ts';
import type { CallOrigin } from '../layer.ts';
import { verifyErasure, verifyReceipt, type ReceiptKey } from '../operations/retention.ts';
import type { Erasure } from '../operations/erasure/report.ts';
import type { Store } from '../stores/store.ts';
import type { ReportedErasure } from './types.ts';

/** A receipt and the name that the report shows for it. */
export interface NamedReceipt {
  readonly name: string;
  /** The JWS in its compact form, as `eraseSubject()` returned it. */
  readonly receipt: string;
}

/** Checks receipts, and searches the store for what the signed ones say was erased. */
export async function readErasures<S extends Session>(
  store: Store<S>,
  receipts: readonly NamedReceipt[],
  keys: readonly ReceiptKey[],
  origin: CallOrigin,
): Promise<ReportedErasure[]> {
  const found: ReportedErasure[] = [];
  for (const { name, receipt } of receipts) {
    const text = receipt.trim();
    const signed = await verified(text, keys);
    if (signed !== undefined) {
      const again = await verifyErasure(store, signed, origin);
      found.push({ ...described(name, 'verified', signed), foundAgain: again.length });
      continue;
    }
    const claimed = keys.length === 0 ? claimOf(text) : undefined;
    found.push(
      claimed === undefined ? { name, signature: 'invalid' } : described(name, 'unchecked', claimed),
    );
  }
  return found.toSorted((one, other) => (one.at ?? Infinity) - (other.at ?? Infinity));
}

async function verified(receipt: string, keys: readonly ReceiptKey[]): Promise<Erasure | undefined> {
  for (const key of keys) {
    try {
      return await verifyReceipt(receipt, key);
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_AUTHENTICATION') throw error;
    }
  }
  return undefined;
}

/** The payload of a receipt that nobody checked, in the shape of one; `undefined` for anything else. */
function claimOf(receipt: string): Erasure | undefined {
  try {
    const bytes = fromBase64url(receipt.split('.', 3)[1] ?? '');
    const payload = JSON.parse(fromUtf8(bytes as Uint8Array)) as Partial<Erasure> | null;
    const isShaped =
      payload?.type === 'strongroom/erasure' &&
      payload.version === 1 &&
      typeof payload.at === 'number' &&
      Array.isArray(payload.sessions) &&
      payload.sessions.every(
        (each: Partial<Erasure['sessions'][number]> | null) =>
          typeof each?.records === 'number' && Array.isArray(each.keys),
      ) &&
      Array.isArray(payload.held) &&
      Array.isArray(payload.orphans) &&
      ABOUT.every((about) => payload[about] === undefined || typeof payload[about] === 'string');
    return isShaped ? (payload as Erasure) : undefined;
  } catch {
    return undefined;
  }
}

const ABOUT = ['subject', 'sessionId', 'reason', 'by'] as const;

function described(
  name: string,
  signature: 'verified' | 'unchecked',
  { at, subject, sessionId, reason, by, sessions, held, orphans }: Erasure,
): ReportedErasure {
  return defined({
    name,
    signature,
    at,
    subject,
    sessionId,
    reason,
    by,
    sessions: sessions.length,
    records: sessions.reduce((sum, { records }) => sum + records, 0),
    keys: sessions.reduce((sum, { keys }) => sum + keys.length, 0),
    held: held.length,
    orphans: orphans.length,
  });
}
