import type { ComplianceReport } from '../../types.ts';
import { table } from '../charts.ts';
import { count, day, number } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { section, numeric, named, word } from '../parts.ts';

export function holds({ holds: all }: ComplianceReport): Html {
  return section(
    'holds',
    'Legal holds',
    all.length === 0
      ? markup`<p class="empty">No hold was ever placed in this store.</p>`
      : table(
          count(all.length, 'hold'),
          [
            { name: 'Hold' },
            { name: 'Session' },
            { name: 'Reason' },
            { name: 'Placed' },
            { name: 'State' },
            numeric('Sessions'),
            numeric('Items'),
          ],
          all.map(
            ({ id, sessionId, reason, placedAt, placedBy, releasedAt, releasedBy, sessions, items }) => [
              named(id),
              named(sessionId),
              reason,
              `${day(placedAt)}${placedBy === undefined ? '' : ` by ${placedBy}`}`,
              releasedAt === undefined
                ? word('notice', 'Open')
                : markup`<span
                    >Released
                    ${day(releasedAt)}${releasedBy === undefined ? undefined : ` by ${releasedBy}`}</span
                  >`,
              number(sessions),
              number(items),
            ],
          ),
        ),
  );
}

/* Erasures */
