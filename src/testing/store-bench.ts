import assert from 'node:assert/strict';
import type { AgentInputItem } from '@openai/agents';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { carrierOf, formatEnvelope, formatHeader } from '../protocol/envelope.ts';
import { isStrongroomError, type ErrorCode } from '../errors.ts';
import type { DekRecord } from '../keys/dek-store.ts';
import type { Header } from '../layer.ts';
import type { StoreSession } from '../stores/session.ts';
import type { Store } from '../stores/store.ts';
import { userMessage } from './session-contract.ts';

/** The environment of a check. */
export interface Bench {
  readonly store: Store<StoreSession>;
  /** Another store over the same data; the same store when the database cannot be shared. */
  readonly other: Store<StoreSession>;
  /** A new session id; the session is deleted afterwards. */
  readonly id: (suffix?: string) => string;
}

export function numbered(prefix: string, count: number): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => userMessage(`${prefix} ${index}`));
}

export function textOf(item: AgentInputItem): string {
  return (item as { content: { text: string }[] }).content[0]?.text ?? '';
}

export function dekId(name: string): string {
  return toBase64url(sha256(utf8(name)));
}

export function dek(sessionId: string, name: string): DekRecord {
  return {
    sessionId,
    did: dekId(name),
    kid: 'kid-1',
    wrapped: `wrapped ${name}`,
    createdAt: 1_700_000_000_000,
  };
}

export function envelope(header: Header, wrapped?: string, sealed?: Uint8Array): AgentInputItem {
  const body =
    header.s === 'none'
      ? utf8('{"role":"user","content":"x"}')
      : (sealed ?? new Uint8Array(64).fill(header.t ?? 0));
  return carrierOf(formatEnvelope(formatHeader(header), body, wrapped));
}

export function fails(code: ErrorCode, act: () => unknown, sentence = ''): void {
  assert.throws(act, (error) => expected(error, code, sentence));
}

export async function rejects(code: ErrorCode, work: Promise<unknown>, sentence = ''): Promise<void> {
  await assert.rejects(work, (error) => expected(error, code, sentence));
}

function expected(error: unknown, code: ErrorCode, sentence: string): boolean {
  assert.ok(isStrongroomError(error), `expected a StrongroomError ${code}, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.startsWith(sentence), error.message);
  return true;
}
