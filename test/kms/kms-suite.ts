import { MemorySession } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { fromBase64url, fromUtf8, toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import type { KeyBinding, KeyProvider } from '../../src/keys/provider.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { sampleItems } from '../../src/testing/sample-items.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';

/** What the suite needs of one provider and the service behind it. */
export interface KmsUnderTest {
  /** A provider of the same key on each call, with short waits. */
  provider(): KeyProvider;
  /** Calls that reached the service. */
  calls(): number;
  /** Makes the service fail until `up()`. */
  down(): void;
  up(): void;
  /** Disables or destroys the key for good. */
  disable(): void;
}

const HERE: KeyBinding = { contextHash: toBase64url(new Uint8Array(32).fill(1)) };
const ELSEWHERE: KeyBinding = { contextHash: toBase64url(new Uint8Array(32).fill(2)) };
const DEK = new Uint8Array(32).map((_, index) => index);

/** What holds for every KMS. */
export function kmsSuite(name: string, start: () => Promise<KmsUnderTest>): void {
  describe(`${name}: as every key service`, () => {
    test('what it wraps is a dir JWE with the ciphertext of the service in its header, and opens again', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped, kid } = await keys.wrap(DEK, HERE);
      expect(headerOf(wrapped)).toEqual({
        alg: 'dir',
        enc: 'A256GCM',
        typ: 'sr1-dek',
        kid,
        kms: {
          p: expect.stringMatching(/^\w+$/) as string,
          cx: HERE.contextHash.slice(0, 22),
          ct: expect.stringMatching(/^[\w-]+$/) as string,
        },
      });
      expect(wrapped.split('.')[1]).toBe('');
      const opened = await keyring({ current: kms.provider() }).unwrap(wrapped, HERE);
      expect(Array.from(opened.dek)).toEqual(Array.from(DEK));
      expect(wrapped).not.toContain(toBase64url(DEK));
    });

    test('a data key that is about to be replaced is marked in the header, and the mark cannot be taken off', async () => {
      const keys = keyring({ current: (await start()).provider() });
      const { wrapped } = await keys.wrap(DEK, HERE, { openOnly: true });
      expect(headerOf(wrapped)['use']).toBe('open');
      expect((await keys.unwrap(wrapped, HERE)).openOnly).toBe(true);
      expect(await failure(() => keys.unwrap(withHeader(wrapped, { use: undefined }), HERE))).toEqual(
        coded('ERR_AUTHENTICATION', /does not open with the key/),
      );
    });

    test('two wrapped forms of one key share nothing that repeats', async () => {
      const keys = keyring({ current: (await start()).provider() });
      const [one, other] = [await keys.wrap(DEK, HERE), await keys.wrap(DEK, HERE)];
      expect(one.wrapped.split('.').slice(2)).not.toEqual(other.wrapped.split('.').slice(2));
      expect(headerOf(one.wrapped)['kms']).not.toEqual(headerOf(other.wrapped)['kms']);
    });

    test('a wrapped key that was moved to another session is refused without a call to the service', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped } = await keys.wrap(DEK, HERE);
      const before = kms.calls();
      expect(await failure(() => keys.unwrap(wrapped, ELSEWHERE))).toEqual(
        coded('ERR_AUTHENTICATION', /belongs to a different session or context/),
      );
      expect(kms.calls()).toBe(before);
    });

    test('a ciphertext whose context was rewritten in the header is refused, by the service where it binds one', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped } = await keys.wrap(DEK, HERE);
      const forged = withKms(wrapped, { cx: ELSEWHERE.contextHash.slice(0, 22) });
      expect(await failure(() => keys.unwrap(forged, ELSEWHERE))).toEqual(
        coded('ERR_AUTHENTICATION', /was changed, (?:or )?moved|does not open with the key/),
      );
    });

    test('a change anywhere in the wrapped key is refused', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped } = await keys.wrap(DEK, HERE);
      const ct = fromBase64url((headerOf(wrapped)['kms'] as { ct: string }).ct) as Uint8Array;
      ct[ct.length - 1] = (ct.at(-1) as number) ^ 1;
      const changed = [
        withKms(wrapped, { ct: toBase64url(ct) }),
        withKms(wrapped, { ct: toBase64url(ct.subarray(0, 3)) }),
        // Kept, but not as it was sealed: the header is authenticated.
        withHeader(wrapped, { 'x-more': 1 }),
        ...[2, 3, 4].map((segment) => flip(wrapped, segment)),
      ];
      for (const text of changed) {
        expect(await failure(() => keys.unwrap(text, HERE))).toEqual(coded('ERR_AUTHENTICATION', /./));
      }
    });

    test('a header without what the service made is malformed, one of another service unsupported', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped } = await keys.wrap(DEK, HERE);
      const before = kms.calls();
      const malformed = [
        withHeader(wrapped, { kms: undefined }),
        withHeader(wrapped, { kms: null }),
        withKms(wrapped, { ct: '' }),
        withKms(wrapped, { ct: 'a b' }),
        withKms(wrapped, { ct: 7 }),
        withKms(wrapped, { cx: undefined }),
        withKms(wrapped, { ct: 'A'.repeat(8_193) }),
      ];
      for (const text of malformed) {
        expect(await failure(() => keys.unwrap(text, HERE))).toEqual(
          coded('ERR_MALFORMED', /lacks the fields of the KMS/),
        );
      }
      for (const text of [withKms(wrapped, { p: 'other' }), withKms(wrapped, { new: 1 })]) {
        expect(await failure(() => keys.unwrap(text, HERE))).toEqual(
          coded('ERR_UNSUPPORTED', /a different key service/),
        );
      }
      expect(kms.calls()).toBe(before);
    });

    test('callers that ask for one wrapped key at once share one call, and each gets bytes of its own', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped } = await keys.wrap(DEK, HERE);
      const before = kms.calls();
      const all = await Promise.all(Array.from({ length: 8 }, () => keys.unwrap(wrapped, HERE)));
      expect(kms.calls()).toBe(before + 1);
      all[0]?.dek.fill(0);
      for (const { dek } of all.slice(1)) expect(Array.from(dek)).toEqual(Array.from(DEK));
    });

    test('a service that is down makes a read fail with ERR_KEY_UNAVAILABLE, and nothing is removed', async () => {
      const kms = await start();
      const inner = new MemorySession();
      const session = (keys: Keyring): MemorySession =>
        wrapSession(inner, [encrypt({ keys, onUndecryptable: () => 'skip' })]) as unknown as MemorySession;
      const items = sampleItems().slice(0, 3);
      await session(keyring({ current: kms.provider() })).addItems(items);
      const stored = await inner.getItems();

      kms.down();
      const reader = session(keyring({ current: kms.provider() }));
      const unavailable = coded('ERR_KEY_UNAVAILABLE', /did not unwrap a data key/);
      expect(await failure(() => reader.getItems())).toEqual(unavailable);
      expect(await failure(() => reader.popItem())).toEqual(unavailable);
      expect(await failure(() => reader.addItems(items))).toEqual(
        coded('ERR_KEY_UNAVAILABLE', /did not (?:un)?wrap a data key/),
      );
      expect(await inner.getItems()).toEqual(stored);

      kms.up();
      expect(await reader.getItems()).toEqual(items);
    });

    test('a session costs one call to write and one to read: its data key is cached', async () => {
      const kms = await start();
      const inner = new MemorySession();
      const writer = wrapSession(inner, [encrypt({ keys: keyring({ current: kms.provider() }) })]);
      const items = sampleItems().slice(0, 4);
      const before = kms.calls();
      await writer.addItems(items.slice(0, 2));
      await writer.addItems(items.slice(2));
      expect(await writer.getItems()).toEqual(items);
      expect(kms.calls()).toBe(before + 1);

      const reader = wrapSession(inner, [encrypt({ keys: keyring({ current: kms.provider() }) })]);
      expect(await reader.getItems()).toEqual(items);
      expect(kms.calls()).toBe(before + 2);
      kms.down();
      expect(await reader.getItems()).toEqual(items);
      expect(kms.calls()).toBe(before + 2);
      kms.up();
    });

    test('a disabled or destroyed key is ERR_KEY_DISABLED at once, without repetition', async () => {
      const kms = await start();
      const keys = keyring({ current: kms.provider() });
      const { wrapped } = await keys.wrap(DEK, HERE);
      kms.disable();
      const before = kms.calls();
      expect(await failure(() => keyring({ current: kms.provider() }).unwrap(wrapped, HERE))).toEqual(
        coded('ERR_KEY_DISABLED', /did not unwrap a data key with the key ".+": the /),
      );
      expect(kms.calls() - before).toBeLessThanOrEqual(1);
    });

    test('says what it is: a kid that a keyring takes, dir, and readable', async () => {
      const kms = await start();
      expect(kms.provider().kid).toMatch(/^[\x20-\x7e]{1,128}$/);
      expect(kms.provider()).toMatchObject({ alg: 'dir', writeOnly: false });
    });
  });
}

function headerOf(wrapped: string): Record<string, unknown> {
  return JSON.parse(fromUtf8(fromBase64url(wrapped.split('.')[0] as string) as Uint8Array)) as Record<
    string,
    unknown
  >;
}

function withHeader(wrapped: string, changes: Readonly<Record<string, unknown>>): string {
  const segment = toBase64url(utf8(JSON.stringify({ ...headerOf(wrapped), ...changes })));
  return [segment, ...wrapped.split('.').slice(1)].join('.');
}

function withKms(wrapped: string, changes: Readonly<Record<string, unknown>>): string {
  return withHeader(wrapped, { kms: { ...(headerOf(wrapped)['kms'] as object), ...changes } });
}

function flip(wrapped: string, segment: number): string {
  const segments = wrapped.split('.');
  const bytes = fromBase64url(segments[segment] as string) as Uint8Array;
  bytes[0] = (bytes[0] as number) ^ 1;
  return segments.with(segment, toBase64url(bytes)).join('.');
}
