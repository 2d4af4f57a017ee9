import { decodeProtectedHeader } from 'jose';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { toBase64url } from '../../src/crypto/encoding.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { pkcs11, type Pkcs11Module, type Pkcs11Options } from '../../src/kms/pkcs11.ts';
import { coded, failure } from '../crypto/failure.ts';
import { PIN, softHsm, TOKEN_LABEL, type SoftHsm } from '../support/soft-hsm.ts';
import { kmsSuite } from './kms-suite.ts';
import { PATIENCE, unanswered } from './unanswered.ts';

// The real interface: SoftHSM2 through pkcs11js. What cannot be provoked there (a pulled cable) is done to single
// functions of the loaded module.

const found = softHsm();
const BINDING = { contextHash: toBase64url(new Uint8Array(32).fill(1)) };
const DEK = new Uint8Array(32).fill(9);

describe.skipIf(found === undefined)('through SoftHSM2', () => {
  // The body runs where the tests are skipped, too.
  const hsm = found as SoftHsm;
  const module = found?.module as SoftHsm['module'];
  afterAll(() => hsm[Symbol.dispose]());
  let count = 0;

  /** The real module, with some functions replaced. */
  const altered = (changes: Partial<Pkcs11Module>): Pkcs11Module =>
    new Proxy(module, {
      get(target, name) {
        const own: unknown = Reflect.get(changes, name);
        if (own !== undefined) return own;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

  const newKey = (): string => {
    const label = `key ${++count}`;
    hsm.generate(label);
    return label;
  };

  const provider = (keyLabel: string, options: Partial<Pkcs11Options> = {}): KeyProvider =>
    pkcs11({ pkcs11: module, token: TOKEN_LABEL, keyLabel, pin: PIN, backoff: 0.01, ...options });

  kmsSuite('pkcs11', async () => {
    const label = newKey();
    let calls = 0;
    let broken = false;
    const fail = (): never => {
      throw new Error('CKR_DEVICE_REMOVED');
    };
    const counted = altered({
      C_EncryptInit(...args) {
        calls++;
        if (broken) fail();
        module.C_EncryptInit(...args);
      },
      C_DecryptInit(...args) {
        calls++;
        if (broken) fail();
        module.C_DecryptInit(...args);
      },
    });
    return {
      provider: () => provider(label, { pkcs11: counted }),
      calls: () => calls,
      down: () => void (broken = true),
      up: () => void (broken = false),
      disable: () => hsm.destroy(label),
    };
  });

  describe('pkcs11', () => {
    test('clones of a process with a repeating generator never use an IV twice, and everything opens', async () => {
      const keys = keyring({ current: provider(newKey()) });
      const random = vi.spyOn(globalThis.crypto, 'getRandomValues').mockImplementation((array) => {
        new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(7);
        return array;
      });
      const deks = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
      const places = [BINDING, { contextHash: toBase64url(new Uint8Array(32).fill(2)) }];
      const all = deks.flatMap((dek) => places.map((place) => [dek, place] as const));
      const wrapped = [];
      for (const [dek, place] of all) wrapped.push((await keys.wrap(dek, place)).wrapped);
      random.mockRestore();
      const ivs = wrapped.map((text) => {
        const { ct } = decodeProtectedHeader(text)['kms'] as { ct: string };
        return Buffer.from(ct, 'base64url').toString('hex').slice(0, 24);
      });
      expect(new Set(ivs).size).toBe(4);
      for (const [index, [dek, place]] of all.entries()) {
        expect((await keys.unwrap(wrapped[index] as string, place)).dek).toEqual(dek);
      }
    });

    test('a key that may not be used is disabled until it is allowed again', async () => {
      const label = newKey();
      const { wrapped } = await keyring({ current: provider(label) }).wrap(DEK, BINDING);
      hsm.allow(label, false);
      const keys = keyring({ current: provider(label) });
      expect(await failure(() => keys.unwrap(wrapped, BINDING))).toEqual(
        coded('ERR_KEY_DISABLED', /CKR_KEY_FUNCTION_NOT_PERMITTED/),
      );
      hsm.allow(label, true);
      expect(Array.from((await keys.unwrap(wrapped, BINDING)).dek)).toEqual(Array.from(DEK));
    });

    test('a data key that one key of the token wrapped does not open with another', async () => {
      const { wrapped } = await keyring({ current: provider(newKey(), { kid: 'k' }) }).wrap(DEK, BINDING);
      const other = keyring({ current: provider(newKey(), { kid: 'k' }) });
      expect(await failure(() => other.unwrap(wrapped, BINDING))).toEqual(
        coded('ERR_AUTHENTICATION', /was changed, moved, or wrapped by another key/),
      );
    });

    test('a failing token is not reported as a changed ciphertext', async () => {
      const label = newKey();
      const { wrapped } = await keyring({ current: provider(label) }).wrap(DEK, BINDING);
      let calls = 0;
      const failing = altered({
        C_DecryptAsync() {
          calls++;
          return Promise.reject(new Error('CKR_GENERAL_ERROR'));
        },
      });
      const keys = keyring({ current: provider(label, { pkcs11: failing }) });
      expect(await failure(() => keys.unwrap(wrapped, BINDING))).toEqual(
        coded('ERR_KEY_UNAVAILABLE', /it fails \(CKR_GENERAL_ERROR\)/),
      );
      // Three attempts, and after each the question whether the token opens anything.
      expect(calls).toBe(6);
    });

    test('a session that the token closed is opened again', async () => {
      const keys = keyring({ current: provider(newKey()) });
      const { wrapped } = await keys.wrap(DEK, BINDING);
      hsm.closeAllSessions();
      expect(Array.from((await keys.unwrap(wrapped, BINDING)).dek)).toEqual(Array.from(DEK));
    });

    test('calls go through one session, one after another, and all succeed', async () => {
      let sessions = 0;
      const counted = altered({
        C_OpenSession(...args) {
          sessions++;
          return module.C_OpenSession(...args);
        },
      });
      const keys = keyring({ current: provider(newKey(), { pkcs11: counted }) });
      const all = await Promise.all(Array.from({ length: 20 }, () => keys.wrap(DEK, BINDING)));
      const opened = await Promise.all(all.map(({ wrapped }) => keys.unwrap(wrapped, BINDING)));
      expect(opened.every(({ dek }) => Array.from(dek).join() === Array.from(DEK).join())).toBe(true);
      expect(sessions).toBe(1);
    });

    test('a call that hangs does not block the next one', async () => {
      let calls = 0;
      const slow = altered({
        C_EncryptAsync(...args) {
          return ++calls === 1 ? new Promise(() => undefined) : module.C_EncryptAsync(...args);
        },
      });
      const keys = keyring({ current: provider(newKey(), { pkcs11: slow, timeout: PATIENCE, attempts: 1 }) });
      const error = await unanswered(
        1,
        () => calls,
        () => failure(() => keys.wrap(DEK, BINDING)),
      );
      expect(error).toEqual(coded('ERR_KEY_UNAVAILABLE', /No answer within 600000 ms/));
      const { wrapped } = await keys.wrap(DEK, BINDING);
      expect(Array.from((await keys.unwrap(wrapped, BINDING)).dek)).toEqual(Array.from(DEK));
    });

    test('a wrong PIN is tried once and never again, because a token locks itself', async () => {
      const label = newKey();
      // Logs the other tests out, too: while a process is logged in, its token does not look at the PIN.
      hsm.closeAllSessions();
      let logins = 0;
      const counted = altered({
        C_Login(...args) {
          logins++;
          module.C_Login(...args);
        },
      });
      const keys = keyring({ current: provider(label, { pkcs11: counted, pin: () => '9999' }) });
      expect(await failure(() => keys.wrap(DEK, BINDING))).toEqual(
        coded('ERR_INVALID_OPTION', /refuses the PIN \(CKR_PIN_INCORRECT\)/),
      );
      const second = await failure(() => keys.wrap(DEK, BINDING));
      expect(second).toEqual(
        coded('ERR_INVALID_OPTION', /refused this PIN before. The PIN is not tried again/),
      );
      expect(logins).toBe(1);
      expect(String(second)).not.toContain('9999');
    });

    test('a missing token or key, several keys of one label, and a key that can be extracted are refused', async () => {
      const wrap = (keyLabel: string, options: Partial<Pkcs11Options> = {}): Promise<unknown> =>
        failure(() => keyring({ current: provider(keyLabel, options) }).wrap(DEK, BINDING));
      expect(await wrap('any', { token: 'elsewhere' })).toEqual(
        coded('ERR_KEY_UNAVAILABLE', /no token has this label/),
      );
      expect(await wrap('no such key')).toEqual(
        coded('ERR_KEY_DISABLED', /holds no secret key with this label/),
      );
      const label = newKey();
      hsm.generate(label);
      expect(await wrap(label)).toEqual(
        coded('ERR_INVALID_OPTION', /several keys of the token have this label/),
      );
      hsm.generate('loose', { extractable: true });
      expect(await wrap('loose')).toEqual(coded('ERR_INVALID_OPTION', /sensitive and not extractable/));
    });

    test('options that cannot work are refused at once', async () => {
      const options = { pkcs11: module, token: 't', keyLabel: 'k', pin: 'p' };
      for (const [name, value] of [
        ['pkcs11', {}],
        ['token', ''],
        ['keyLabel', 7],
        ['pin', ''],
      ] as const) {
        expect(await failure(() => pkcs11({ ...options, [name]: value }))).toEqual(
          coded('ERR_INVALID_OPTION', new RegExp(`^pkcs11: ${name} must be`)),
        );
      }
      expect(pkcs11(options).kid).toBe('t/k');
    });
  });
});
