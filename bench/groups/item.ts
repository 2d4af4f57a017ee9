import type { AgentInputItem } from '@openai/agents';
import { utf8 } from '../../src/crypto/encoding.ts';
import { encrypt, generateKey, keyring, type Entry, type SessionCall } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, prose } from '../items.ts';
import { compare, type Candidate } from '../rounds.ts';
import { sealers, type Sealer } from '../sealers.ts';

/** Items that the layer gets in one call. */
const COUNT = 50;

export const itemGroup: Group = {
  title: 'One item',
  note: 'Sealing and opening one text, each as its users would call it, in units of AES-256-GCM by node:crypto with a KeyObject; and the layer encrypt() in units of JSON. Native AES-GCM has random nonces of 96 bits, which one key can take only so many of, and no key commitment.',
  async *measure({ rounds, quick }) {
    const all = sealers();
    const sizes = quick ? [1_024] : [200, 1_024, 4_096, 65_536];
    const seal: Column[] = [];
    const open: Column[] = [];
    for (const size of sizes) {
      const plaintext = utf8(prose(size, size));
      const effort = { rounds, runs: Math.max(20, Math.round(400_000 / (size + 2_000))) };
      const title = `${size.toLocaleString('en')} B`;
      const candidates = (prepare: (sealer: Sealer) => Candidate['prepare']): Candidate[] =>
        all.map((sealer) => ({ name: sealer.name, prepare: prepare(sealer) }));
      seal.push({
        title,
        results: await compare(
          candidates((sealer) => () => () => sealer.seal(plaintext)),
          effort,
        ),
      });
      open.push({
        title,
        results: await compare(
          candidates((sealer) => async () => {
            const sealed = (await sealer.seal(plaintext)) as never;
            return () => sealer.open(sealed);
          }),
          effort,
        ),
      });
    }
    const base = (all[0] as Sealer).name;
    yield { title: 'seal one text', unit: 'time', base, columns: seal };
    yield { title: 'open one text', unit: 'time', base, columns: open };
    yield* measureLayer(rounds);
  },
};

/** From item to envelope and back, against JSON alone. */
const measureLayer: (rounds: number) => ReturnType<Group['measure']> = async function* (rounds) {
  const keys = keyring({ current: await generateKey() });
  const items = conversation(COUNT);
  const entries = items.map((item): Entry => ({ item, header: {} }));
  const texts = items.map((item) => JSON.stringify(item));
  const call: SessionCall = {
    kind: 'addItems',
    sessionId: 'session-1',
    inner: { getSessionId: async () => 'session-1' } as unknown as SessionCall['inner'],
    layers: [],
    routesByRunContext: false,
    sealed: true,
    now: Date.now,
    lookBack: async () => undefined,
    skipped: () => undefined,
    result: {},
  };
  const layer = encrypt({ keys });
  const sealed = ((await layer.write?.(entries, call)) ?? []).map(({ item }): Entry => ({
    item,
    header: {},
    stored: item,
  }));
  const effort = { rounds, runs: 20 };
  const write = await compare(
    [
      { name: 'JSON', prepare: () => () => items.map((item) => JSON.stringify(item)) },
      { name: 'encrypt()', prepare: () => async () => layer.write?.(entries, call) },
    ],
    effort,
  );
  const read = await compare(
    [
      { name: 'JSON', prepare: () => () => texts.map((text) => JSON.parse(text) as AgentInputItem) },
      { name: 'encrypt()', prepare: () => async () => layer.read?.(sealed, call) },
    ],
    effort,
  );
  yield {
    title: `${COUNT} items of 1 KB in a call`,
    unit: 'time',
    base: 'JSON',
    columns: [
      { title: 'item to envelope', results: write },
      { title: 'envelope to item', results: read },
    ],
  };
};
