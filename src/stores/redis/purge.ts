import type { Expired, StoreDriver } from '../driver.ts';
import { isExpired } from '../first-times.ts';
import { newMark } from '../marks.ts';
import { textOf } from './client.ts';
import type { Deletion } from './deletion.ts';
import { decodeElements, SHARE } from './element.ts';
import { holdAbove } from './hold-above.ts';
import type { IndexEntries } from './index-entries.ts';
import { lifeOf } from './life.ts';
import type { RedisParts } from './parts.ts';
import { unlessLost } from './refusals.ts';
import { PURGE, RESCORE } from './scripts.ts';
import { versionOf } from './version.ts';

/** Deletes expired records, those of one session in one script. */
export function redisPurge(
  parts: RedisParts,
  { expiries, births, leaveSubject }: IndexEntries,
  { forget }: Deletion,
): Pick<StoreDriver, 'purge' | 'expired'> {
  const { commands, prefix, shares, keysOf, indexed, lists } = parts;
  const { onList } = lists;

  /** @returns How many records were deleted, and whether expired ones are left. */
  async function purgeSession(
    id: string,
    before: number | undefined,
    at: number,
    most: number,
  ): Promise<{ readonly gone: number; readonly more: boolean }> {
    const { meta, ops, holds, deks } = keysOf(id);
    let total = 0;
    for (;;) {
      if ((await holdAbove(parts, id)) !== undefined) return { gone: total, more: false };
      const [expiryBefore, birthBefore, subject] = await Promise.all([
        commands.read('ZSCORE', expiries, id),
        commands.read('ZSCORE', births, id),
        commands.read('HGET', meta, 'subject'),
      ]);
      if (subject !== null) await leaveSubject(id, textOf(subject));
      const life = await lifeOf(parts, id);
      let name = '';
      const answer = await onList(id, ({ list, items, next, nextItems }) => {
        name = next;
        const cutoff = before === undefined ? '' : String(before);
        return commands.script(
          PURGE,
          [items, nextItems, meta, ops, holds, deks],
          [
            list,
            next,
            String(at),
            cutoff,
            String(most - total),
            String(newMark()),
            life,
            shares ? prefix : '',
            id,
          ],
        );
      });
      const [gone, more, version, earliest, oldest, left] = answer as [
        number,
        number,
        Buffer,
        Buffer,
        Buffer,
        number,
      ];
      total += gone;
      if (left === -1) return { gone: total, more: false };
      indexed.name(id, left === 0 ? '' : name);
      if (left === 0) {
        await forget(id, subject === null ? undefined : textOf(subject));
        return { gone: total, more: false };
      }
      await Promise.all([
        expiryBefore === null
          ? 0
          : commands.script(RESCORE, [expiries], [id, textOf(expiryBefore), String(earliest)]),
        birthBefore === null
          ? 0
          : commands.script(RESCORE, [births], [id, textOf(birthBefore), String(oldest)]),
      ]);
      // Written to since: the new scores may be too late for the new records.
      const same = (await versionOf(parts, id))[0] === String(version);
      if (same || more === 1) return { gone: total, more: more === 1 };
    }
  }

  return {
    async purge({ now: at, writtenBefore }, batch) {
      const sessions: string[] = [];
      const seen = new Set<string>();
      for (const [key, until] of [
        [expiries, at],
        [births, writtenBefore],
      ] as const) {
        if (until === undefined) continue;
        for (let offset = 0; ;) {
          const range = await commands.read(
            'ZRANGEBYSCORE',
            key,
            '-inf',
            String(until),
            'LIMIT',
            String(offset),
            '50',
          );
          const page = (range as Buffer[]).map(String);
          if (page.length === 0) break;
          for (const id of page) {
            if (seen.has(id)) {
              // Under a hold, or its score is only too low: it stays where it is.
              offset++;
              continue;
            }
            const { gone, more } = await unlessLost(
              purgeSession(id, writtenBefore, at, batch - sessions.length),
              {
                gone: 0,
                more: false,
              },
            );
            for (let count = 0; count < gone; count++) sessions.push(id);
            if (more || sessions.length >= batch) return { sessions, more: true };
            seen.add(id);
          }
        }
      }
      return { sessions, more: false };
    },

    expired: (expired) => expiredIn(parts, { expiries, births }, expired),
  };
}

/** The records that a purge would delete. */
async function expiredIn(
  parts: RedisParts,
  { expiries, births }: Pick<IndexEntries, 'expiries' | 'births'>,
  expired: Expired,
): Promise<readonly { readonly id: string; readonly items: number }[]> {
  const { commands, keysOf, lists } = parts;
  const ids = new Set<string>();
  for (const [key, until] of [
    [expiries, expired.now],
    [births, expired.writtenBefore],
  ] as const) {
    if (until === undefined) continue;
    const range = await commands.read('ZRANGEBYSCORE', key, '-inf', String(until));
    for (const id of range as Buffer[]) ids.add(id.toString());
  }
  const found: { id: string; items: number }[] = [];
  for (const id of ids) {
    if ((await commands.read('HLEN', keysOf(id).holds)) !== 0) continue;
    if ((await holdAbove(parts, id)) !== undefined) continue;
    const records = decodeElements(await unlessLost(lists.range(id), []));
    // What a branch shares is purged where it is.
    const items = records.filter((record) => record.head !== SHARE && isExpired(record, expired)).length;
    if (items > 0) found.push({ id, items });
  }
  return found;
}
