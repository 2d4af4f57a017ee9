import { join } from 'node:path';
import type { AgentInputItem, Session } from '@openai/agents';
import { exportJWK, generateKeyPair } from 'jose';
import { branches } from '../../src/history/branches.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { audit } from '../../src/layers/audit.ts';
import { authorize } from '../../src/layers/authorize.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { redact } from '../../src/layers/redact.ts';
import { hold, release } from '../../src/operations/holds.ts';
import {
  eraseSubject,
  retention,
  type ReceiptKey,
  type RetentionOptions,
} from '../../src/operations/retention.ts';
import { auditFile } from '../../src/report/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock, type FakeClock } from '../../src/testing/fake-clock.ts';
import { wrapStore } from '../../src/wrap-store.ts';

/** Text that must not be on any page. */
export const SECRET = 'Quetzal-7731-content';

/** The store of a year of use, as a review finds it. */
export interface ReviewStore {
  readonly sessions: Store<Session>;
  readonly database: string;
  readonly log: string;
  readonly clock: FakeClock;
  readonly keys: Keyring;
  readonly rule: RetentionOptions;
  readonly receipts: readonly { readonly name: string; readonly receipt: string }[];
  readonly receiptKey: ReceiptKey;
  /** Settles the events of the audit layer. */
  flush(): Promise<unknown>;
}

/**
 * Conversations of 300 days in every state that the report knows: purged until ten days ago, a key that was rotated, holds, erasures,
 * branches, refused calls, and ids that are markup.
 */
export async function reviewStore(folder: string): Promise<ReviewStore> {
  const clock = fakeClock(Date.UTC(2026, 1, 1));
  const database = join(folder, 'conversations.db');
  const path = join(folder, 'audit.jsonl');
  const keys = keyring({ current: { ...(await generateKey()), kid: '2026-spring' } });
  const { privateKey, publicKey } = await generateKeyPair('Ed25519', { extractable: true });
  const receiptKey = { ...(await exportJWK(privateKey)), kid: 'receipts' };
  const log = auditFile(path, { clock });
  const events = audit({ sink: log });
  const sessions = wrapStore(openSqlite(database, { clock }), [
    events,
    authorize({ check: ({ actor }) => actor !== 'mallory' }),
    redact({
      entities: ['EMAIL_ADDRESS', 'CREDIT_CARD', 'IP_ADDRESS'],
      onRedaction: (report) => log.redaction(report),
    }),
    expire({ after: '120d', clock }),
    encrypt({ keys }),
  ]);
  const rule = { expired: '60d', maxIdle: '45d' } as const;
  const rules = retention(sessions, { ...rule, actor: 'retention job' });
  const receipts: { name: string; receipt: string }[] = [];

  async function talk(id: string, subject: string | undefined, turn: number): Promise<void> {
    const session = sessions.session(id, subject === undefined ? {} : { subject });
    await session.addItems(exchange(turn));
    if (turn % 3 === 0) await session.getItems();
  }

  async function erase(subject: string, name: string): Promise<void> {
    const options = { reason: `request ${name}`, by: 'privacy desk', receiptKey, actor: 'privacy desk' };
    const { receipt = '' } = await eraseSubject(sessions, subject, options);
    receipts.push({ name: `${name}.jws`, receipt });
  }

  for (let day = 0; day < 300; day += 5) {
    const number = day / 5;
    const person = `person-${number % 17}`;
    await talk(`chat-${number}`, number % 9 === 0 ? undefined : person, number);
    if (number % 2 === 0) await talk(`chat-${Math.max(number - 3, 0)}`, undefined, number + 1);
    if (day === 250) {
      keys.add({ ...(await generateKey()), kid: '2026-summer' });
      keys.promote('2026-summer');
    }
    if (day === 200)
      await hold(sessions, {
        sessionId: 'chat-38',
        id: 'case-7',
        reason: 'Case 7: <b>claim</b> of a customer',
        by: 'counsel',
        actor: 'counsel',
      });
    if (day === 205)
      await hold(sessions, {
        sessionId: 'chat-40',
        id: 'case-9',
        reason: 'Case 9',
        by: 'counsel',
        actor: 'counsel',
      });
    if (day === 240) await erase('person-13', 'R-1041');
    if (day === 260) await release(sessions, 'case-9', { by: 'counsel', actor: 'counsel' });
    if (day === 285) await erase('person-2', 'R-1077');
    if (day <= 270 && day % 10 === 0) await rules.run();
    clock.advance('5d');
  }
  const branch = await branches(sessions, 'chat-58').create('second-try');
  await branch.addItems(exchange(4));
  await sessions
    .session('<img src=x onerror=alert(1)>', { subject: '"><script>alert(2)</script>' })
    .addItems(exchange(1));
  for (let refused = 0; refused < 3; refused++) {
    await hold(sessions, { sessionId: 'chat-1', reason: 'x', actor: 'mallory' }).catch(() => undefined);
  }
  await events.flush();
  return {
    sessions,
    database,
    log: path,
    clock,
    keys,
    rule,
    receipts,
    receiptKey: await exportJWK(publicKey),
    flush: () => events.flush(),
  };
}

function exchange(turn: number): AgentInputItem[] {
  const mails = Array.from({ length: turn % 4 }, (_, index) => `guest${index}@example.org`).join(' ');
  return [
    {
      type: 'message',
      role: 'user',
      content: `${SECRET} ${turn}: write to ${mails}; card 4111 1111 1111 1111`,
    },
    {
      type: 'function_call',
      callId: `call-${turn}`,
      name: 'lookup',
      arguments: '{"host":"192.0.2.7"}',
      status: 'completed',
    },
    {
      type: 'function_call_result',
      callId: `call-${turn}`,
      name: 'lookup',
      status: 'completed',
      output: 'ok',
    },
    {
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: `${SECRET} answer <script>alert(3)</script>` }],
    },
  ];
}
