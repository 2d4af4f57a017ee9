import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { defineConfig, loadKey, type KeyReference } from '../../src/config/index.ts';
import { openersOf } from '../../src/config/define-config.ts';
import { encrypt, generateKey, keyring } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

const key = await generateKey();
const file = join(folder, 'key.json');
writeFileSync(file, JSON.stringify(key));

describe('defineConfig()', () => {
  it('opens nothing and reads no key before open()', async () => {
    const store = vi.fn(() => openSqlite(':memory:'));
    const config = defineConfig({
      store,
      keys: { current: { env: 'STRONGROOM_TEST_KEY' } },
      layers: ({ keys }) => [encrypt({ keys })],
    });
    expect(store).not.toHaveBeenCalled();
    expect(() => config.open()).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message:
          'defineConfig: keys.current names the environment variable "STRONGROOM_TEST_KEY", which is not set. Set it to the key as a JWK.',
      }),
    );
    vi.stubEnv('STRONGROOM_TEST_KEY', JSON.stringify(key));
    await using sessions = config.open();
    await sessions.session('a').addItems([{ role: 'user', content: 'Hello' }]);
    expect(await sessions.session('a').getItems()).toMatchObject([{ content: 'Hello' }]);
  });

  it('gives layers a keyring with the keys in their states', () => {
    const seen = vi.fn();
    const previous = { ...key, kid: 'old' };
    writeFileSync(join(folder, 'old.json'), JSON.stringify(previous));
    const config = defineConfig({
      store: () => openSqlite(':memory:'),
      keys: {
        current: { file },
        previous: [{ file: pathToFileURL(join(folder, 'old.json')) }],
        destroyed: ['gone'],
      },
      layers: ({ keys }) => {
        seen(keys.keys().map(({ kid, state }) => [kid, state]));
        return [encrypt({ keys })];
      },
    });
    config.open();
    expect(seen).toHaveBeenCalledWith([
      [key.kid, 'current'],
      ['old', 'previous'],
      ['gone', 'destroyed'],
    ]);
  });

  it('can be opened without keys, and then nothing can be sealed or opened', async () => {
    const config = defineConfig({
      store: () => openSqlite(':memory:'),
      keys: { current: { env: 'STRONGROOM_TEST_KEY' } },
      layers: ({ keys }) => [encrypt({ keys })],
    });
    const { store } = (
      openersOf(config) as Exclude<ReturnType<typeof openersOf>, 'foreign' | undefined>
    ).open(true);
    await expect(store.session('a').addItems([{ role: 'user', content: 'Hello' }])).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_KEY_UNAVAILABLE' }),
    );
    await store.close();
  });

  it('refuses layers that use keys where there are none', () => {
    const config = defineConfig({
      store: () => openSqlite(':memory:'),
      layers: ({ keys }) => [encrypt({ keys })],
    });
    expect(() => config.open()).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('layers uses keys, but the configuration has no keys.') as string,
      }),
    );
  });

  it.each([
    [{}, 'store must be a function that opens the store'],
    [{ store: () => openSqlite(':memory:'), other: 1 }, 'unknown option "other"'],
    [
      { store: () => openSqlite(':memory:'), layers: [] },
      'layers must be a function that returns the layers',
    ],
    [{ store: () => openSqlite(':memory:'), retention: {} }, 'retention: give a rule'],
    [
      { store: () => openSqlite(':memory:'), keys: { current: { file }, previous: {} } },
      'previous must be an array',
    ],
    [{ store: () => openSqlite(':memory:'), auditLog: 1 }, 'auditLog must be a path or a file URL'],
  ])('refuses the options %j', (options, message) => {
    expect(() => defineConfig(options as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});

describe('loadKey()', () => {
  it('reads a key from a file or the environment, and passes on a key of a key service', () => {
    vi.stubEnv('STRONGROOM_TEST_KEY', JSON.stringify(key));
    expect(loadKey({ env: 'STRONGROOM_TEST_KEY' })).toEqual(key);
    expect(loadKey({ file })).toEqual(key);
    const provider = { kid: 'k', alg: 'a', writeOnly: false, wrap: vi.fn(), unwrap: vi.fn() };
    expect(loadKey(provider)).toBe(provider);
    expect(keyring({ current: loadKey({ file }) }).current).toBe(key.kid);
  });

  it.each([
    [{ file: join(folder, 'missing.json') }, 'cannot be read. Correct the path'],
    [{ env: '' }, 'env must be the name of a variable'],
    [{ file: 7 }, 'file must be a path or a file URL'],
    [{ file, env: 'A' }, 'unknown option'],
    [{}, 'must be { env: name }, { file: path } or a key of a key service'],
    ['text', 'must be { env: name }'],
    [key, 'reference is a key. Put the key into a file'],
  ])('refuses a reference without showing what it holds', (reference, message) => {
    let thrown: unknown;
    try {
      loadKey(reference as KeyReference);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message) as string,
    });
    expect(String(thrown)).not.toContain(key.k);
  });

  it('never quotes a file that holds no key', () => {
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, `"${key.k}`);
    let thrown: unknown;
    try {
      loadKey({ file: broken });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: `loadKey: the file ${JSON.stringify(broken)} does not hold a JWK in JSON. Make a key with "strongroom keygen".`,
    });
    // The error of JSON.parse() quotes the text.
    expect(thrown).not.toHaveProperty('cause');
  });
});
