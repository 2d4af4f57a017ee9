import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { audit, authorize, expire, wrapStore, type AuditEvent } from '../../src/index.ts';
import { observe } from '../../src/layers/observe.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const user = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const summary: AgentInputItem = { type: 'message', role: 'system', content: 'what was said' };
/** Removes the first item, `a`. */
const withoutFirst = {
  count: 1,
  digest: historyDigest([user('a')]),
  replacement: [],
  operationId: 'op',
};

describe('replacePrefix through a stack', () => {
  it('replaces the oldest items and archives them, with their expiry, once', async () => {
    let now = 1_000;
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [expire({ after: 1_000, clock: () => now })]);
    const session = sessions.session('live');
    const archive = sessions.session('archive');
    await session.addItems([user('a'), user('b')]);
    now = 1_500;
    await session.addItems([user('c')]);
    const args = {
      count: 2,
      digest: historyDigest([user('a'), user('b')]),
      replacement: [summary],
      operationId: 'op',
      archiveTo: archive,
    };
    await session.replacePrefix(args);
    await session.replacePrefix(args);
    expect(await session.getItems()).toEqual([summary, user('c')]);
    expect(await archive.getItems()).toEqual([user('a'), user('b')]);
    now = 2_000;
    expect(await session.getItems()).toEqual([user('c')]);
    expect(await archive.getItems()).toEqual([]);
    await store.close();
  });

  it('archives items that state no time with the time when they came, so that a purge by age takes them as before', async () => {
    let now = 1_700_000_000_000;
    const store = openSqlite(':memory:', { clock: () => now });
    const sessions = wrapStore(store, [audit({ sink: () => undefined })]);
    await sessions.session('live').addItems([user('a'), user('b')]);
    now += 20 * 86_400_000;
    await sessions.session('live').replacePrefix({
      count: 1,
      digest: historyDigest([user('a')]),
      replacement: [],
      operationId: 'op',
      archiveTo: sessions.session('archive'),
    });
    now += 10 * 86_400_000;
    expect(await store.purgeExpired({ after: '30d', maxAhead: 'any' })).toEqual({ items: 2, sessions: 2 });
    await store.close();
  });

  it('is a call of the session and one of the archive, and never a call of addItems for observing layers', async () => {
    const asked: string[] = [];
    const events: AuditEvent[] = [];
    const spans = new InMemorySpanExporter();
    const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer(
      't',
    );
    const store = openSqlite(':memory:');
    const layers = [
      authorize({ check: ({ kind, sessionId }) => asked.push(`${kind} ${sessionId}`) > 0 }),
      audit({ sink: (event) => void events.push(event) }),
      observe({ tracer }),
      expire({ after: '1d' }),
    ];
    const sessions = wrapStore(store, layers);
    const session = sessions.session('live');
    await session.addItems([user('a'), user('b')]);
    await session.replacePrefix({
      count: 2,
      digest: historyDigest([user('a'), user('b')]),
      replacement: [summary],
      operationId: 'op',
      archiveTo: sessions.session('archive'),
    });
    expect(asked).toEqual(['addItems live', 'replacePrefix live', 'archive archive']);
    expect(events).toMatchObject([
      { operation: 'addItems', sessionId: 'live' },
      { operation: 'archive', sessionId: 'archive', operationId: 'op', itemsIn: 2, itemsOut: 2 },
      { operation: 'replacePrefix', sessionId: 'live', operationId: 'op', itemsIn: 1, itemsOut: 1 },
    ]);
    expect(spans.getFinishedSpans().map(({ name }) => name)).toEqual([
      'session addItems',
      'session archive',
      'session replacePrefix',
    ]);
    await store.close();
  });

  it('refuses an archive that is no session of the same store in layers', async () => {
    const [store, other] = [openSqlite(':memory:'), openSqlite(':memory:')];
    const layers = [expire({ after: '1d' })];
    const session = wrapStore(store, layers).session('live');
    await session.addItems([user('a')]);
    const targets = [null, 5, 'archive', {}, store.session('bare'), wrapStore(other, layers).session('far')];
    for (const archiveTo of targets) {
      await expect(
        session.replacePrefix({ ...withoutFirst, archiveTo: archiveTo as never }),
      ).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringMatching(
          /^replacePrefix: archiveTo must be a session of the same store, wrapped by wrapSession, got /,
        ),
      });
    }
    expect(await session.getItems()).toEqual([user('a')]);
    await store.close();
    await other.close();
  });

  it('archives nothing when the archive refuses the call', async () => {
    const store = openSqlite(':memory:');
    const check = ({ kind }: { readonly kind: string }): boolean => kind !== 'archive';
    const sessions = wrapStore(store, [authorize({ check }), expire({ after: '1d' })]);
    const session = sessions.session('live');
    await session.addItems([user('a')]);
    await expect(
      session.replacePrefix({ ...withoutFirst, archiveTo: sessions.session('archive') }),
    ).rejects.toMatchObject({
      code: 'ERR_ACCESS_DENIED',
      message: expect.stringMatching(/^authorize: archive on session "archive" is refused/),
    });
    expect(await session.getItems()).toEqual([user('a')]);
    expect(await sessions.session('archive').getItems()).toEqual([]);
    await store.close();
  });

  it('refuses a prefix that is not the expected one, and changes nothing', async () => {
    const store = openSqlite(':memory:');
    const session = wrapStore(store, [expire({ after: '1d' })]).session('live');
    await session.addItems([user('a'), user('b')]);
    await expect(
      session.replacePrefix({
        count: 1,
        digest: historyDigest([user('x')]),
        replacement: [summary],
        operationId: 'op',
      }),
    ).rejects.toMatchObject({ code: 'ERR_CONFLICT', message: /1 oldest items are not those/ });
    expect(await session.getItems()).toEqual([user('a'), user('b')]);
    await store.close();
  });
});
