import type { ComplianceReport } from '../../types.ts';
import { bars, table } from '../charts.ts';
import { count, day, duration, number } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { named, numeric, rangeOf, section, shortened, word } from '../parts.ts';

export function keys({ keys: { keys: all, ages: classes, destroyed, missing }, at }: ComplianceReport): Html {
  const hasRing = all.some(({ state }) => state !== undefined);
  const last = classes.findLastIndex(({ dataKeys }) => dataKeys > 0);
  return section(
    'keys',
    'Keys',
    markup`<p class="soft">
        A key-encryption key wraps the data keys of sessions; a data key seals the records of one session.
        ${
          hasRing
            ? 'States are those of the keyring in the configuration.'
            : 'No keyring was given, so states are not known.'
        }
        No key was used for this page.
      </p>
      ${
        all.length === 0
          ? markup`<p class="empty">There are no data keys.</p>`
          : markup`<div class="two">
                ${bars(
                  'Data keys by key-encryption key',
                  [{ color: 's0', name: 'Data keys' }],
                  all.slice(0, 20).map(({ kid, dataKeys, opens }) => ({
                    label: shortened(kid),
                    values: [dataKeys],
                    past: opens === false && dataKeys > 0,
                  })),
                  'Key',
                  'No data key is wrapped by a key of the configuration.',
                )}
                ${bars(
                  'Data keys by age',
                  [{ color: 's2', name: 'Data keys' }],
                  classes.slice(0, last + 1).map(({ from = 0, to, dataKeys }) => ({
                    label: to === undefined ? `${duration(from)} or more` : rangeOf(from, to),
                    values: [dataKeys],
                  })),
                  'Age',
                  'Data keys in envelopes have no date.',
                )}
              </div>
              ${table(
                `Use of ${count(all.length, 'key')}`,
                [
                  { name: 'Key id' },
                  { name: 'State' },
                  ...['Data keys', 'Sessions', 'Records', 'Oldest', 'Newest'].map(numeric),
                ],
                all.map(({ kid, state, opens, dataKeys, sessions, records, oldestAt, newestAt }) => [
                  named(kid),
                  state === undefined ? 'not known' : stateWord(state, opens, dataKeys),
                  number(dataKeys),
                  number(sessions),
                  number(records),
                  oldestAt === undefined
                    ? undefined
                    : markup`<span>${day(oldestAt)}, ${duration(at - oldestAt)}</span>`,
                  newestAt === undefined ? undefined : day(newestAt),
                ]),
              )}`
      }
      <p class="note">
        ${count(missing.records, 'record')} whose data key is in none of the places searched;
        ${count(destroyed.records, 'record')} whose data key was destroyed on purpose.
      </p>`,
  );
}

function stateWord(state: string, opens: boolean | undefined, dataKeys: number): Html {
  if (opens === false && dataKeys > 0) return word('problem', `${state}, needed`);
  return word(state === 'current' ? 'good' : 'notice', state);
}

/* Holds */
