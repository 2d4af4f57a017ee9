import type { Call, Operation } from './linear.ts';

/** Numbers from 0 to 1, the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

/**
 * A history that has an order: clients that each do one thing after the other to one session, each thing carried out at some
 * moment of its call. One call in ten takes long, so that most others are under way with it.
 */
export function linearHistory(clients: number, callsOfEach: number, random: () => number): Call[] {
  const moments = Array.from({ length: clients }, (_, client) => {
    let time = random() * 10;
    return Array.from({ length: callsOfEach }, (__, call) => {
      const began = time;
      const ended = began + 1 + random() * (random() < 0.1 ? 200 : 20);
      time = ended + random() * 2;
      return { client, began, ended, at: began + (ended - began) * random(), tag: `${client}.${call}` };
    });
  }).flat();
  let items: readonly string[] = [];
  const tails = new Map<number, readonly string[]>();
  const calls = moments
    .sort((a, b) => a.at - b.at)
    .map(({ client, began, ended, tag }): Call => {
      const { operation, after } = perform(random() * 100, tag, items, tails.get(client) ?? [], random);
      items = after;
      if (operation.kind === 'read') tails.set(client, operation.items.slice(-2));
      return { session: 's', began, ended, operation };
    });
  calls.push({ session: 's', began: Infinity, ended: Infinity, operation: { kind: 'read', items } });
  return calls.sort((a, b) => a.began - b.began);
}

function perform(
  choice: number,
  tag: string,
  items: readonly string[],
  expected: readonly string[],
  random: () => number,
): { readonly operation: Operation; readonly after: readonly string[] } {
  const fresh = [`${tag}a`, `${tag}b`];
  if (choice < 25) return { operation: { kind: 'add', items: fresh }, after: [...items, ...fresh] };
  if (choice < 45 || (choice >= 80 && choice < 92 && expected.length === 0)) {
    return { operation: { kind: 'pop', popped: items.at(-1) ?? null }, after: items.slice(0, -1) };
  }
  if (choice < 65) {
    const limit = 1 + Math.floor(random() * 5);
    if (random() < 0.5) return { operation: { kind: 'read', items }, after: items };
    return { operation: { kind: 'read', limit, items: items.slice(-limit) }, after: items };
  }
  if (choice < 80) {
    return { operation: { kind: 'append', id: tag, items: fresh }, after: [...items, ...fresh] };
  }
  if (choice < 92) {
    const conflict = items.slice(-expected.length).join() !== expected.join();
    const after = conflict ? items : [...items.slice(0, items.length - expected.length), ...fresh];
    return { operation: { kind: 'replace', id: tag, expected, items: fresh, conflict }, after };
  }
  if (choice < 96) return { operation: { kind: 'compact', items: [`${tag}c`] }, after: [`${tag}c`] };
  return { operation: { kind: 'clear' }, after: [] };
}
