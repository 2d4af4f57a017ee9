import type { ComplianceReport, Finding, ReportedErasure } from '../../types.ts';
import { table, type Cell } from '../charts.ts';
import { count, number, time } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { named, numeric, section, word } from '../parts.ts';

const SIGNATURES: Readonly<Record<ReportedErasure['signature'], readonly [Finding['level'], string]>> = {
  verified: ['good', 'Verified'],
  unchecked: ['notice', 'Not checked'],
  invalid: ['problem', 'Not valid'],
};

export function erasures({ erasures: all, returned }: ComplianceReport): Html {
  return section(
    'erasures',
    'Erasures',
    markup`<p class="soft">
        From the receipts that were given to this report. The store has no list of erasures: it keeps a
        tombstone with each erased id.
      </p>
      ${
        all.length === 0
          ? markup`<p class="empty">No receipts were given.</p>`
          : table(
              count(all.length, 'receipt'),
              [
                { name: 'Receipt' },
                { name: 'Signature' },
                { name: 'Erased' },
                { name: 'About' },
                { name: 'Reason' },
                ...['Sessions', 'Records', 'Data keys', 'Kept by holds', 'Found now'].map(numeric),
              ],
              all.map(erasureRow),
            )
      }
      ${
        returned.length === 0
          ? markup`<p class="note">
              No session holds records from before its erasure, by the tombstones of the store.
            </p>`
          : table(
              `${count(returned.length, 'session')} with records from before the erasure`,
              [{ name: 'Session' }, { name: 'Erased' }],
              returned.map(({ id, erasedAt }) => [named(id), time(erasedAt)]),
            )
      }`,
  );
}

function erasureRow(each: ReportedErasure): readonly Cell[] {
  const { subject, reason, by, foundAgain } = each;
  const numberOf = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : number(value);
  const about = subject ?? each.sessionId;
  const why = [reason, by === undefined ? undefined : `by ${by}`].filter((part) => part !== undefined);
  return [
    named(each.name),
    word(...SIGNATURES[each.signature]),
    each.at === undefined ? undefined : time(each.at),
    about === undefined
      ? undefined
      : markup`<span>${subject === undefined ? 'session' : 'subject'} ${named(about)}</span>`,
    why.length === 0 ? undefined : why.join(', '),
    ...[each.sessions, each.records, each.keys, each.held].map(numberOf),
    foundAgain === undefined || foundAgain === 0 ? numberOf(foundAgain) : word('problem', number(foundAgain)),
  ];
}

/* Redactions */
