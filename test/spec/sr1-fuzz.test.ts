import { MemorySession } from '@openai/agents';
import { expect, it } from 'vitest';
import { carrierOf } from '../../src/protocol/envelope.ts';
import { encrypt, keyring, wrapSession } from '../../src/index.ts';
import { rounds } from '../support/soak.ts';
import { VECTORS, type SealedVector } from './vectors.ts';

const [first] = VECTORS.sealed;
const inlineOf = ({ envelope, wrapped }: SealedVector): string => `${envelope}.${wrapped}`;
const keys = { current: VECTORS.keks[0], previous: [VECTORS.keks[1]] };

it('opens no vector after any one bit was flipped', async () => {
  for (const vector of [first, VECTORS.sealed[5] as SealedVector]) {
    const envelope = inlineOf(vector);
    const flipped: string[] = [];
    for (let at = 0; at < envelope.length; at++) {
      for (let bit = 0; bit < 7; bit++) {
        const character = String.fromCharCode(envelope.charCodeAt(at) ^ (1 << bit));
        flipped.push(envelope.slice(0, at) + character + envelope.slice(at + 1));
      }
    }
    const reasons: string[] = [];
    const inner = new MemorySession({
      sessionId: vector.sessionId,
      initialItems: flipped.map((text) => carrierOf(text)),
    });
    const layer = encrypt({
      keys: keyring(keys),
      onUndecryptable(reason) {
        reasons.push(reason);
        return 'skip';
      },
    });
    expect(await wrapSession(inner, [layer]).getItems()).toEqual([]);
    expect(reasons).toHaveLength(flipped.length);
  }
});

const FUZZED = rounds(6_000, 1_000_000);
it(`${FUZZED} fuzzed envelopes and headers, none of them accepted`, { timeout: 3_600_000 }, async () => {
  const random = generator(20_261_120);
  const layer = encrypt({ keys: keyring(keys), onUndecryptable: () => 'skip' });
  const batch = 1_000;
  for (let done = 0; done < FUZZED; done += batch) {
    const texts = Array.from({ length: batch }, () => fuzz(random));
    const fresh = new MemorySession({ sessionId: first.sessionId, initialItems: texts.map(carrierOf) });
    expect(await wrapSession(fresh, [layer]).getItems()).toEqual([]);
  }
});

/** A small deterministic generator (mulberry32): a failure can be run again. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const JSON_CHARACTERS = '{}[]":,\\ 0123456789.eE+-sdtegox-nulltruefalse\u0000\u00e9\u4e16';

/** A vector with something done to it: characters, segments, or the text of its header. Never the vector itself. */
function fuzz(random: (below: number) => number): string {
  const vector = VECTORS.sealed[random(VECTORS.sealed.length)] as SealedVector;
  const original = inlineOf(vector);
  for (;;) {
    let text = original;
    const changes = 1 + random(4);
    for (let change = 0; change < changes; change++)
      text = [edit, segment, header][random(3)]?.(text, random) ?? text;
    if (!VECTORS.sealed.some((each) => inlineOf(each) === text)) return text;
  }
}

function edit(text: string, random: (below: number) => number): string {
  const at = random(text.length);
  const character = ALPHABET[random(ALPHABET.length)] as string;
  return text.slice(0, at) + ['', character, `${character}.`][random(3)] + text.slice(at + random(3));
}

function segment(text: string, random: (below: number) => number): string {
  const segments = text.split('.');
  const other = inlineOf(VECTORS.sealed[random(VECTORS.sealed.length)] as SealedVector).split('.');
  segments[random(segments.length)] = other[random(other.length)] as string;
  return segments.join('.');
}

function header(text: string, random: (below: number) => number): string {
  const [version, head = '', ...rest] = text.split('.');
  const json = Buffer.from(head, 'base64url').toString();
  const at = random(json.length + 1);
  const inserted = JSON_CHARACTERS[random(JSON_CHARACTERS.length)] as string;
  const changed = json.slice(0, at) + inserted + json.slice(at + random(3));
  return [version, Buffer.from(changed).toString('base64url'), ...rest].join('.');
}
