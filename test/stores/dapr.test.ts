import { Agent, run } from '@openai/agents';
import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it, vi, onTestFinished } from 'vitest';
import { encrypt, expire, generateKey, keyring, wrapStore } from '../../src/index.ts';
import { openDapr, type DaprOptions } from '../../src/stores/dapr.ts';
import type { Store } from '../../src/stores/store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { daprSidecar, listening, type DaprSidecar, type SidecarFault } from '../support/dapr-sidecar.ts';

const message = (content: string) => ({ type: 'message', role: 'user', content }) as const;
const messages = (from: number, to: number, text = '') =>
  Array.from({ length: to - from }, (_, index) => message(`${from + index}${text}`));

function open({ fetch }: DaprSidecar, options: DaprOptions = {}): Store {
  return openDapr('statestore', { fetch, ...options });
}

interface Node {
  readonly level: number;
  readonly entries: readonly [string, string][];
}

/** The pages that the root reaches, and those that the component has. */
function pagesOf({ table }: DaprSidecar): { readonly live: string[]; readonly stored: string[] } {
  const parsed = (key: string): Node => JSON.parse(table.get(key)?.value as string) as Node;
  const live: string[] = [];
  const walk = ({ level, entries }: Node): void => {
    if (level === 0) return;
    for (const [, name] of entries) {
      live.push(`strongroom-page-${name}`);
      walk(parsed(`strongroom-page-${name}`));
    }
  };
  walk(parsed('strongroom-root'));
  return { live: live.sort(), stored: [...table.keys()].filter((key) => key.includes('-page-')).sort() };
}

describe('a store over Dapr', () => {
  it('keeps long histories in many pages, and an append costs the same number of requests', async () => {
    const sidecar = daprSidecar();
    const requestsOf = async (work: () => Promise<unknown>): Promise<number> => {
      const before = sidecar.requests.length;
      await work();
      return sidecar.requests.length - before;
    };
    await using store = open(sidecar);
    const session = store.session('a');
    await session.addItems([message('first')]);
    const few = await requestsOf(() => session.addItems([message('second')]));
    await session.addItems(messages(0, 3_000, 'x'.repeat(100)));
    expect(pagesOf(sidecar).live.length).toBeGreaterThan(20);
    const many = await requestsOf(() => session.addItems([message('last')]));
    // Besides: pages are read twice and written once, and the two that are replaced are removed.
    expect([few, many]).toEqual([4, 9]);
    expect(await session.getItems(1)).toEqual([message('last')]);
    expect(await session.getItems()).toHaveLength(3_003);
    await using reopened = open(sidecar);
    expect((await reopened.session('a').getItems(2))[0]).toEqual(message(`2999${'x'.repeat(100)}`));
  });

  it('leaves no page behind that its root does not reach', async () => {
    const sidecar = daprSidecar();
    await using store = open(sidecar);
    for (const id of ['a', 'b', 'c']) await store.session(id).addItems(messages(0, 300, 'y'.repeat(80)));
    await store.session('b').clearSession();
    await store.deleteSession('a');
    for (let number = 0; number < 20; number++) await store.session('c').popItem();
    const { live, stored } = pagesOf(sidecar);
    expect(stored).toEqual(live);
    await store.deleteSession('c');
    expect(pagesOf(sidecar).stored).toEqual(pagesOf(sidecar).live);
  });

  it('keeps every item of several processes that write to one session at once', async () => {
    for (const mismatch of [409, 500] as const) {
      const sidecar = daprSidecar({ mismatch });
      const stores = Array.from({ length: 4 }, () => open(sidecar));
      await Promise.all(
        stores.map(async (store, writer) => {
          for (let call = 0; call < 10; call++)
            await store.session('a').addItems([message(`${writer} ${call}`)]);
        }),
      );
      const items = (await stores[0]?.session('a').getItems()) ?? [];
      expect(items).toHaveLength(40);
      for (const [writer] of stores.entries()) {
        const own = items.filter((item) => JSON.stringify(item).includes(`"${writer} `));
        expect(own).toEqual(Array.from({ length: 10 }, (_, call) => message(`${writer} ${call}`)));
      }
      for (const store of stores) await store.close();
      expect(pagesOf(sidecar).stored).toEqual(pagesOf(sidecar).live);
      expect([...sidecar.table.keys()].filter((key) => key.includes('-writer-'))).toEqual([]);
    }
  });

  it.each(['lose', 'hang'] as const)(
    'knows that a commit was made when its answer does not come (%s)',
    async (kind) => {
      const sidecar = daprSidecar();
      await using store = open(sidecar, { timeout: 100 });
      const session = store.session('a');
      await session.addItems([message('one')]);
      sidecar.faults.push({ kind, method: 'POST', about: '"strongroom-root"' });
      await session.addItems([message('two')]);
      expect(sidecar.faults).toEqual([]);
      expect(await session.getItems()).toEqual([message('one'), message('two')]);
      expect(pagesOf(sidecar).stored).toEqual(pagesOf(sidecar).live);
    },
  );

  it('stores an append once or not at all whichever request fails, and removes its pages with the next commit', async () => {
    const faults: SidecarFault[] = (['refuse', 'lose'] as const).flatMap((kind) => [
      { kind, method: 'GET', about: 'root' },
      { kind, method: 'POST', about: '"keys"' },
      { kind, method: 'POST', about: 'strongroom-writer-' },
      { kind, method: 'POST', about: '"strongroom-page-' },
      { kind, method: 'POST', about: '"strongroom-root"' },
      { kind, method: 'DELETE', about: 'strongroom-page-' },
    ]);
    for (const fault of faults) {
      const sidecar = daprSidecar();
      await using store = open(sidecar);
      const session = store.session('a');
      const before = messages(0, 400, 'z'.repeat(80));
      await session.addItems(before);
      sidecar.faults.push({ ...fault });
      const error = await session.addItems([message('new')]).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(sidecar.faults).toEqual([]);
      const found = await session.getItems();
      const isThere = found.length === 401;
      expect(found).toEqual(isThere ? [...before, message('new')] : before);
      const failed = coded('ERR_STORE', /^openDapr: the database failed to (?:read|commit)/);
      expect(error ?? 'stored').toEqual(error === undefined && isThere ? 'stored' : failed);
      expect(`${String(error)} ${String((error as Error | undefined)?.cause)}`).not.toContain('secret words');
      await session.addItems([message('later')]);
      expect(pagesOf(sidecar).stored).toEqual(pagesOf(sidecar).live);
    }
  });

  it('finds what a process that died has left behind, and lets one that only paused go on', async () => {
    const sidecar = daprSidecar();
    const old = open(sidecar);
    await old.session('a').addItems(messages(0, 400, 'z'.repeat(80)));
    // It dies after it has written its pages, and before it removes those of a commit.
    sidecar.faults.push({ kind: 'refuse', method: 'POST', about: '"strongroom-root"' });
    await failure(() => old.session('a').addItems([message('lost')]));
    expect(pagesOf(sidecar).stored.length).toBeGreaterThan(pagesOf(sidecar).live.length);

    await using soon = open(sidecar);
    await soon.session('b').addItems([message('soon')]);
    expect(pagesOf(sidecar).stored.length).toBeGreaterThan(pagesOf(sidecar).live.length);

    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_001 });
    onTestFinished(() => void vi.useRealTimers());
    await using later = open(sidecar);
    await later.session('c').addItems([message('later')]);
    expect(pagesOf(sidecar).stored).toEqual(pagesOf(sidecar).live);
    expect(await later.session('a').getItems()).toHaveLength(400);

    await old.session('a').addItems([message('back')]);
    expect(await later.session('a').getItems()).toHaveLength(401);
    await old.close();
    expect(pagesOf(sidecar).stored).toEqual(pagesOf(sidecar).live);
  });

  it('holds nothing of an erased session', async () => {
    const sidecar = daprSidecar();
    await using store = open(sidecar);
    await store.session('kept').addItems(messages(0, 100));
    await store.session('erased').addItems(messages(0, 100, 'canary'));
    const held = (): string =>
      [...sidecar.table.values()]
        .flatMap(({ value }) => JSON.stringify(value).match(/[A-Za-z0-9+/=]{8,}/g) ?? [])
        .map((text) => Buffer.from(text, 'base64').toString('latin1'))
        .join();
    expect(held()).toContain('canary');
    await store.deleteSession('erased');
    expect(held()).not.toContain('canary');
  });

  it.each([
    [{ etags: 'ignored' }, /accepts an outdated etag/],
    [{ etags: 'absent' }, /returns no etag/],
    [{ firstWrite: false }, /overwrites a value in a first write/],
  ] as const)('refuses a component with %j', async (options, what) => {
    const sidecar = daprSidecar(options);
    await using store = open(sidecar);
    expect(await failure(() => store.session('a').addItems([message('x')]))).toEqual(
      coded('ERR_UNSUPPORTED', what),
    );
    expect(sidecar.table.size).toBe(0);
    expect(sidecar.requests.filter(({ body }) => body.includes('ttlInSeconds')).length).toBeGreaterThan(0);
  });

  it('carries a run of the SDK through a full stack', async () => {
    const sidecar = daprSidecar();
    await using store = open(sidecar);
    const keys = keyring({ current: await generateKey() });
    const sessions = wrapStore(store, [expire({ after: '30d' }), encrypt({ keys })]);
    const model = new ScriptedModel([[assistantMessage('Hello, Ada.')], [assistantMessage('You are Ada.')]]);
    const agent = new Agent({ name: 'Assistant', model });
    const session = sessions.session('user-1');
    await run(agent, 'I am Ada.', { session });
    await run(agent, 'Who am I?', { session });
    expect(await session.getItems()).toHaveLength(4);
    const all = JSON.stringify([...sidecar.table.values()]);
    expect(Buffer.from(all).toString()).not.toContain(
      Buffer.from('I am Ada.').toString('base64').slice(0, 8),
    );
  });

  it('keeps stores of different prefixes apart', async () => {
    const sidecar = daprSidecar();
    await using one = open(sidecar);
    await using other = open(sidecar, { prefix: 'other_' });
    await one.session('a').addItems([message('one')]);
    expect(await other.session('a').getItems()).toEqual([]);
  });

  it('talks to a sidecar over a socket, with its token', async () => {
    const sidecar = daprSidecar({ apiToken: 'hunter2' });
    await using server = await listening(sidecar);
    vi.stubEnv('DAPR_HTTP_ENDPOINT', server.endpoint);
    onTestFinished(() => void vi.unstubAllEnvs());
    await using stranger = openDapr('statestore', { apiToken: 'hunter1' });
    const error = await failure(() => stranger.ping());
    expect(error).toEqual(coded('ERR_STORE', /openDapr: the database failed to read/));
    expect(`${String(error)} ${String((error as Error).cause)}`).toContain('401 (ERR_API_TOKEN)');
    expect(`${String(error)} ${String((error as Error).cause)}`).not.toContain('hunter1');
    vi.stubEnv('DAPR_API_TOKEN', 'hunter2');
    await using store = openDapr('statestore');
    await store.session('ü/a').addItems([message('one')]);
    expect(await store.session('ü/a').getItems()).toEqual([message('one')]);
    await using absent = openDapr('other');
    expect(await failure(() => absent.ping())).toEqual(coded('ERR_STORE', /failed to read/));
  });

  it('refuses options that it does not know or understand', () => {
    for (const [component, options, what] of [
      ['', {}, /component must be/],
      ['s', { endpoint: 'ftp://h' }, /endpoint must be/],
      ['s', { endpoint: 'http://u:hunter2@h' }, /endpoint must be/],
      ['s', { apiToken: 'a b' }, /apiToken must be/],
      ['s', { prefix: 'a||b' }, /prefix must be/],
      ['s', { timeout: 'soon' }, /timeout/],
      ['s', { operationLog: -1 }, /operationLog/],
      ['s', { fetch: 1 }, /fetch must be/],
      ['s', { clock: 1 }, /clock must be/],
      ['s', { consistency: 'eventual' }, /consistency/],
    ] as const) {
      const call = (): unknown => openDapr(component, options as never);
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
      expect(call).toThrow(what);
      expect(call).not.toThrow(/hunter2/);
    }
  });
});
