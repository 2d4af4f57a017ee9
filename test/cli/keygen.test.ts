import { readdir, stat } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { keyring } from '../../src/index.ts';
import { linesOf, projectWith } from '../support/built-cli.ts';

describe('strongroom keygen', () => {
  it('writes a key that only its owner can read, and does not print it', async () => {
    const project = await projectWith('');
    const { code, stdout, stderr } = await project.run(['keygen', '--out', 'key.json']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const key = JSON.parse(await project.read('key.json')) as { k: string; kid: string };
    expect(keyring({ current: key }).current).toBe(key.kid);
    expect(linesOf(stdout)).toEqual([{ event: 'key', kid: key.kid, alg: 'A256KW', file: 'key.json' }]);
    expect(stdout).not.toContain(key.k);
    expect((await stat(project.path('key.json'))).mode & 0o777).toBe(0o600);
  });

  it('never replaces a file, which may be the only copy of another key', async () => {
    const project = await projectWith('');
    await project.write('key.json', 'of another key');
    const { code, stderr } = await project.run(['keygen', '--out', 'key.json']);
    expect(code).toBe(2);
    expect(linesOf(stderr)).toEqual([
      {
        event: 'error',
        code: 'USAGE',
        message: 'The file key.json exists, and may be needed. Choose another name.',
      },
    ]);
    expect(await project.read('key.json')).toBe('of another key');
  });

  it('leaves no half of a key behind that could not be written whole', async () => {
    const project = await projectWith('');
    await project.write('there.json', 'of another key');
    const making = ['keygen', '--receipt', '--out'];
    for (const [out, publicOut] of [
      ['there.json', 'public.json'],
      ['new.json', 'there.json'],
      ['new.json', 'nowhere/public.json'],
      ['.', 'public.json'],
    ] as const) {
      const { code, stderr } = await project.run([...making, out, '--public-out', publicOut]);
      expect({ out, code }).toEqual({ out, code: 2 });
      expect(linesOf(stderr)).toMatchObject([{ code: 'USAGE' }]);
    }
    expect(await readdir(project.folder)).toEqual(['node_modules', 'there.json']);
    expect(await project.read('there.json')).toBe('of another key');
  });

  it('prints a key only where it is asked to', async () => {
    const project = await projectWith('');
    const asked = await project.run([
      'keygen',
      '--stdout',
      '--alg',
      'ECDH-ES+A256KW',
      '--public-out',
      'public.json',
    ]);
    const key = JSON.parse(asked.stdout) as { d: string };
    expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'd', 'kid', 'kty', 'x', 'y']);
    const { d: _d, ...half } = key;
    expect(JSON.parse(await project.read('public.json'))).toEqual(half);
    const unasked = await project.run(['keygen']);
    expect(unasked).toMatchObject({ code: 2, stdout: '' });
    expect(unasked.stderr).toContain('keygen: give --out <file>, or --stdout to print the secret key.');
  });

  it('says in a terminal what to do with the key', async () => {
    const project = await projectWith('');
    const { code, stdout } = await project.terminal(['keygen', '--out', 'key.json', '--receipt']).finished;
    const key = JSON.parse(await project.read('key.json')) as { kid: string };
    expect(stdout.replaceAll('\r', '')).toBe(
      `Wrote the key ${key.kid} (EdDSA) to key.json.\n` +
        'Everybody with this key can sign receipts. Give its public half (--public-out) to those who check them.\n',
    );
    expect(code).toBe(0);
  });

  it('refuses an algorithm that it has no key for, as a wrong argument', async () => {
    const project = await projectWith('');
    const { code, stderr } = await project.run(['keygen', '--out', 'key.json', '--alg', 'A128KW']);
    expect(code).toBe(2);
    expect(stderr).toContain('keygen: --alg must be one of A256KW, A256GCMKW, ECDH-ES+A256KW, RSA-OAEP-256.');
  });
});
